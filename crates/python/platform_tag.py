"""Names the platform that the programs in the wheel run on."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformTag(BuildHookInterface):
    """Any Python 3, and the platform that `cargo xtask wheel` found."""

    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ['ONEJUMP_PLATFORM']}"
