"""What the name of a file of shortcuts stands for: a path, or a file of a repository on the hub."""

import json
import re
from collections.abc import Callable, Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

CONFIG = "config.json"
ENDING = ".safetensors"

_PLAIN = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"
#: owner/name[:file][@revision]; no part of the file's path begins with a dot.
_ON_HUB = re.compile(rf"({_PLAIN}/{_PLAIN})(?::((?:[^/@:.\\][^/@:\\]*/)*[^/@:.\\][^/@:\\]*))?(?:@({_PLAIN}))?")


def find(name: str | PathLike[str]) -> Path:
    """The path of a file of shortcuts that is named by its path, by the folder that it was published in, or as
    `owner/name[:file][@revision]` on the hub: from the hub's cache, else downloaded into it."""
    path = Path(name)
    if path.is_dir():
        config = path / CONFIG
        default = _default(str(path), config if config.is_file() else None, (file.name for file in path.iterdir()))
        return path / default
    on_hub = _ON_HUB.fullmatch(fspath(name))
    # Nobody calls a repository so: it is a path that is mistyped.
    if path.exists() or on_hub is None or on_hub[1].endswith(ENDING):
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        return path
    return _bring(*on_hub.groups())


def _bring(repository: str, file: str | None, revision: str | None) -> Path:
    """A file of a repository, or its default."""
    try:
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError:
        raise ModuleNotFoundError(
            f"'{repository}' is no file here, and files of the hub need huggingface_hub: pip install huggingface_hub"
        ) from None

    def ask(call: Callable[..., Any], *arguments: str) -> Any:
        try:
            return call(repository, *arguments, revision=revision)
        except Exception as error:  # The client raises errors of the network as they come, in many lines.
            what = f"'{repository}' (revision {revision or 'main'}{f', file {file}' if file else ''})"
            said = next(iter(str(error).strip().splitlines()), "")
            raise FileNotFoundError(
                f"{what} is no file here, not in the hub's cache, and not to be had: {type(error).__name__}: {said}"
            ) from error

    def cached(name: str) -> Path | None:
        try:
            return Path(hf_hub_download(repository, name, revision=revision, local_files_only=True))
        except LocalEntryNotFoundError:
            return None

    def bring(name: str) -> Path:
        return cached(name) or Path(ask(hf_hub_download, name))

    if file is None:
        config = cached(CONFIG)
        file = config and _named_default(config)
    if file is None:
        # What the cache has may be a part of what there is: only the hub knows which file is the only one.
        names = ask(HfApi().list_repo_files)
        file = _default(repository, bring(CONFIG) if CONFIG in names else None, names)
    return bring(file)


def _named_default(config: Path) -> str | None:
    """The default that a folder's config.json names, if it is one of published shortcuts."""
    keys = json.loads(config.read_text(encoding="utf-8"))
    return keys.get("default") if keys.get("library_name") == "onejump" else None


def _default(folder: str, config: Path | None, names: Iterable[str]) -> str:
    """The file of a folder, or of a repository, that is meant where none is named."""
    if config is not None:
        named = _named_default(config)
        if named is not None:
            if any(part in ("", ".", "..") for part in named.split("/")):
                raise ValueError(f"'{folder}': its config.json names '{named}' outside of it; name a file in it")
            return named
        if "model_type" in json.loads(config.read_text(encoding="utf-8")):
            raise ValueError(f"'{folder}' holds a model, by its config.json, where a file of shortcuts is needed")
    files = sorted(name for name in names if name.endswith(ENDING))
    if not files:
        raise ValueError(f"'{folder}' has no file of shortcuts ({ENDING})")
    if len(files) > 1:
        raise ValueError(f"'{folder}' does not say which of its files is meant: {', '.join(files)}; name one")
    return files[0]
