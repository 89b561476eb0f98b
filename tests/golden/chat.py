#!/usr/bin/env python3
"""What transformers' `apply_chat_template` makes of conversations.

    python chat.py FILE.gguf > chat.json

FILE.gguf is the built-in model (`smollm2-135m`), whose template is one of those that are tried. The others are in the
forms of Gemma 3, of Llama 3 and of a model that thinks aloud.
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoTokenizer, PreTrainedTokenizerFast

TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>"}

GEMMA3 = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first = messages[0]['content'] | trim + '\n\n' -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set first = '' -%}
    {%- set turns = messages -%}
{%- endif -%}
{%- for turn in turns -%}
    {%- if (turn['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception('Roles must alternate, and a user begins') }}
    {%- endif -%}
    {{ '<start_of_turn>' + ('model' if turn['role'] == 'assistant' else turn['role']) + '\n' }}
    {{- first if loop.first else '' }}
    {%- if turn['content'] is string -%}
        {{ turn['content'] | trim }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\n' }}
{%- endif -%}
"""

LLAMA3 = """{% set loop_messages = messages %}
{% for message in loop_messages %}
    {% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}
    {% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}
{{ content }}{% endfor %}
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}
"""

THINKS = """{%- set state = namespace(last=-1) %}
{%- for message in messages %}
    {%- if message.role == "user" and not message.content.startswith('<tool>') %}
        {%- set state.last = loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "tool" %}{%- continue %}{%- endif %}
    {%- if message.role == "assistant" %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\n') %}
        {%- generation_open %}{{ '<|assistant|>' + content.strip() }}{%- generation_close %}
    {%- else %}
        {{- '<|' + message.role.upper() + '|>' + message.content.rstrip() }}
    {%- endif %}
    {{- '|' ~ (message.get('name') or 'nobody').title() ~ eos_token ~ '\n' }}
{%- endfor %}
{{- {"last": state.last, "list": [1, "ä<b>"], "none": none} | tojson }}
{{- messages[0] | tojson(indent=2) }}
{%- if add_generation_prompt and pad_token is not defined %}{{ '<|assistant|>' }}{% endif %}
""".replace("{%- generation_open %}", "{% generation %}").replace("{%- generation_close %}", "{%- endgeneration -%}")

USER = {"role": "user", "content": " What is it?\n"}
SYSTEM = {"role": "system", "content": "Be brief.  "}
ANSWER = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nA <b>jump</b> & “more”: ä\n"}
CONVERSATIONS = [
    [USER],
    [SYSTEM, USER],
    [USER, ANSWER, {"role": "user", "content": "Why?"}],
    [SYSTEM, USER, ANSWER],
    [USER, USER],
]


def main():
    path = Path(sys.argv[1])
    smollm2 = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).chat_template
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, "a")), **TOKENS)
    rows = []
    for name, template in [("smollm2", smollm2), ("gemma3", GEMMA3), ("llama3", LLAMA3), ("thinks", THINKS)]:
        for messages in CONVERSATIONS:
            for answer in [False, True]:
                row = {"name": name, "messages": messages, "answer": answer}
                try:
                    row["text"] = tokenizer.apply_chat_template(
                        messages, chat_template=template, tokenize=False, add_generation_prompt=answer
                    )
                except Exception as error:  # jinja2's TemplateError
                    row["refused"] = str(error)
                rows.append(row)
        rows[-1]["template"] = template
    json.dump({"tokens": TOKENS, "rows": rows}, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
