//! The folder under the user's cache that all checkouts and installed programs share.

use std::path::PathBuf;

/// `ONEJUMP_CACHE`, else `XDG_CACHE_HOME/onejump`, else `~/.cache/onejump`.
pub fn directory() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("ONEJUMP_CACHE") {
        return folder;
    }
    let user = set("XDG_CACHE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    user.unwrap_or_else(std::env::temp_dir).join("onejump")
}
