#!/usr/bin/env bash
# ./run.sh OUT [--cpu]: tries Onejump on this machine's GPU and leaves OUT/kit.json and OUT/kit.md. Needs Python 3 with torch
# 2.11 and transformers 5; no network, no Rust. PYTHON names another Python than python3.
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$(readlink -f "$0")")/kit.py" "$@"
