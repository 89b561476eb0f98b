// Switches, values under the pointer, methods to hide, figures to save. Without it all parts are shown.
(() => {
  'use strict';
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const NAMES = ['setting', 'samples', 'metric'];
  const form = document.querySelector('.switches');
  const tip = document.getElementById('tip');
  const hidden = new Set();
  const numbers = new WeakMap();
  const numbersOf = (plot) => {
    if (!numbers.has(plot)) numbers.set(plot, JSON.parse(plot.querySelector('script').textContent));
    return numbers.get(plot);
  };

  function apply() {
    const now = Object.fromEntries(new FormData(form));
    const shows = (part, name) => !now[name] || !part.dataset[name] || part.dataset[name].split(' ').includes(now[name]);
    for (const part of all('[data-setting], [data-samples], [data-metric]'))
      part.hidden = !NAMES.every((name) => shows(part, name));
    const settings = all('input[name=setting]', form);
    const column = settings.findIndex((input) => input.checked) + 1;
    for (const row of all('.claims tr'))
      [...row.children].forEach((cell, index) => cell.classList.toggle('now', column > 0 && index === column));
    tip.hidden = true;
  }

  const percent = (value) => `${(100 * value).toFixed(1)}%`;
  const written = (plot, value) => ((plot.heat ?? plot).percent ? percent(value) : String(Number(value.toPrecision(4))));
  const place = (across, x) => ({
    parameters: `${x.toLocaleString('en')} parameters`,
    operations: `${percent(x)} of the operations`,
  })[across] ?? `${across} ${x}`;

  // Every value of a plot: of which method, at which place (none for a line across the plot), and more.
  function values(plot) {
    const row = (method, numbers) => numbers.map((y, x) => ({ method, x, y }));
    if (plot.lines) return plot.lines.series.flatMap(({ label, values }) => row(label, values));
    if (plot.bars) return row('softmax of D', plot.bars.values);
    if (plot.heat) return plot.heat.values.flatMap((numbers, jump) => row(plot.heat.rows?.[jump] ?? `jump ${jump}`, numbers).map((value) => ({ ...value, jump })));
    return plot.curves.curves.flatMap(({ label, points, guide }) =>
      points.map(({ x, y, interval, note }) => ({ method: label, x: guide ? null : x, y, low: interval?.[0], high: interval?.[1], note })));
  }

  // The values that are drawn, with their places in the SVG.
  function points(plot) {
    const [left, right, top, bottom] = plot.plot;
    const scale = (value, [from, to], start, end) => start + (value - from) / (to - from) * (end - start);
    const placed = ({ x, y, jump, ...rest }) => {
      const across = plot.across === 'parameters' ? Math.log10(x) : x;
      const px = x === null ? null : scale(across, plot.x, left, right);
      return { ...rest, x, y, px, py: Math.max(scale(jump ?? y, plot.y, bottom, top), top - 9) };
    };
    return values(plot).filter(({ y }) => y !== null).map(placed)
      .filter(({ px, py }) => py <= bottom + 1 && (px === null || (px >= left - 1 && px <= right + 1)));
  }

  function hover(event) {
    const svg = event.currentTarget;
    const plot = numbersOf(svg.closest('.plot'));
    const box = svg.getBoundingClientRect();
    const zoom = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
    let best = null;
    for (const point of points(plot)) {
      if (hidden.has(point.method)) continue;
      const distance = Math.hypot((point.px ?? x) - x, point.py - y);
      if (distance < (best?.distance ?? 30)) best = { ...point, distance };
    }
    all('.spot', svg).forEach((spot) => spot.remove());
    tip.hidden = !best;
    if (!best) return;
    const spot = document.createElementNS(svg.namespaceURI, 'circle');
    for (const [name, value] of Object.entries({ class: 'spot', cx: best.px ?? x, cy: best.py, r: 7 })) spot.setAttribute(name, value);
    svg.append(spot);
    const interval = best.low == null ? '' : ` (${written(plot, best.low)} to ${written(plot, best.high)})`;
    const where = [best.note, best.x === null ? null : place(plot.across, best.x)].filter(Boolean).join(', ');
    tip.textContent = `${best.method}${where && `, ${where}`}: ${written(plot, best.y)}${interval}`;
    const [width, height] = [tip.offsetWidth, tip.offsetHeight];
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${event.clientY > height + 24 ? event.clientY - height - 14 : event.clientY + 18}px`;
  }

  function leave(event) {
    if (event.pointerType === 'touch') return;
    all('.spot', event.currentTarget).forEach((spot) => spot.remove());
    tip.hidden = true;
  }

  function toggle(label) {
    if (!hidden.delete(label)) hidden.add(label);
    for (const group of all('[data-method]')) group.style.display = hidden.has(group.dataset.method) ? 'none' : '';
    for (const button of all('[data-label]')) button.setAttribute('aria-pressed', !hidden.has(button.dataset.label));
  }

  const visible = (figure) => all('.plot', figure).filter((plot) => plot.offsetParent !== null);

  function csv(figure) {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const plots = visible(figure).map(numbersOf);
    const lines = plots.flatMap((plot) => values(plot).filter(({ method }) => !hidden.has(method))
      .map(({ method, note, x, y, low, high }) => [plot.title, method, note, x, y, low, high]));
    const head = ['measure', 'method', 'note', plots[0]?.across ?? 'x', 'value', 'low', 'high'];
    return [head, ...lines].map((line) => line.map((cell) => quoted(String(cell ?? ''))).join(',')).join('\n') + '\n';
  }

  // The plots that are shown, beside each other under the title and the legend, in the colours of white paper.
  function svg(figure) {
    const [width, height, line, most] = [420, 310, 22, 3];
    const plots = visible(figure);
    const columns = Math.min(plots.length, most) || 1;
    const entries = all('.legend button', figure).filter((button) => !hidden.has(button.dataset.label));
    const inner = columns * (width + 28);
    const perRow = Math.max(1, Math.floor(inner / 224));
    const top = 40 + Math.ceil(entries.length / perRow) * line;
    const root = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const add = (to, name, attributes, text = '') => {
      const node = document.createElementNS(root.namespaceURI, name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      node.textContent = text;
      return to.appendChild(node);
    };
    const [w, h] = [inner + 4, top + Math.ceil(plots.length / columns) * (height + 16)];
    for (const [key, value] of Object.entries({ viewBox: `0 0 ${w} ${h}`, width: w, height: h, color: '#1a1a1a', 'font-family': "system-ui, 'Helvetica Neue', Arial, sans-serif" })) root.setAttribute(key, value);
    add(root, 'rect', { width: w, height: h, fill: '#fff' });
    add(root, 'text', { x: 16, y: 24, 'font-size': 15, 'font-weight': 600, fill: 'currentColor' }, figure.querySelector('figcaption').textContent);
    const put = (source, x, y, size) => {
      const copy = source.cloneNode(true);
      all('.spot', copy).forEach((spot) => spot.remove());
      for (const [key, value] of Object.entries({ x, y, width: size[0], height: size[1] })) copy.setAttribute(key, value);
      root.append(copy);
    };
    entries.forEach((button, index) => {
      const [x, y] = [16 + (index % perRow) * 224, 36 + Math.floor(index / perRow) * line];
      put(button.querySelector('svg'), x, y, [34, 14]);
      add(root, 'text', { x: x + 41, y: y + 11.5, 'font-size': 13, fill: 'currentColor' }, button.dataset.label);
    });
    plots.forEach((plot, index) =>
      put(plot.querySelector('svg'), 16 + (index % columns) * (width + 28), top + Math.floor(index / columns) * (height + 16), [width, height]));
    return new XMLSerializer().serializeToString(root) + '\n';
  }

  function save(button) {
    const figure = button.closest('figure');
    const kind = button.dataset.save;
    const [text, type] = kind === 'csv' ? [csv(figure), 'text/csv'] : [svg(figure), 'image/svg+xml'];
    const link = Object.assign(document.createElement('a'), { download: `${figure.id}.${kind}`, href: URL.createObjectURL(new Blob([text], { type })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  document.documentElement.classList.add('live');
  form.hidden = false;
  all('.tools').forEach((tools) => { tools.hidden = false; });
  form.addEventListener('change', apply);
  for (const panel of all('.panel')) {
    for (const kind of ['pointermove', 'pointerdown']) panel.addEventListener(kind, hover);
    panel.addEventListener('pointerleave', leave);
  }
  addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });
  document.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-label], [data-save]');
    if (button?.dataset.label) toggle(button.dataset.label);
    if (button?.dataset.save) save(button);
  });
  apply();
})();
