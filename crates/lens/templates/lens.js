// Arrow keys move from cell to cell; without scripts, Tab does.
for (const grid of document.querySelectorAll(".grid")) {
  const cells = [...grid.querySelectorAll("tbody tr")].map((row) => [...row.cells].slice(1));
  for (const cell of cells.flat().slice(1)) cell.tabIndex = -1;
  grid.addEventListener("keydown", (event) => {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
    const row = cells.findIndex((row) => row.includes(event.target));
    const cell = row < 0 || down === undefined ? null : cells[row + down]?.[cells[row].indexOf(event.target) + right];
    if (!cell) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    cell.tabIndex = 0;
    cell.focus();
  });
}
