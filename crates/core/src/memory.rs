//! How much memory this process may still use: what the machine has free, and what its control groups allow.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the process's control groups are listed, from the root of the file system.
const GROUPS: &str = "proc/self/cgroup";

/// The files of a control group's memory controller, which each version of control groups names in its own way.
struct Controller {
    /// Where the groups are mounted, from the root of the file system.
    mount: &'static str,
    /// The limits; the lowest one holds.
    limits: &'static [&'static str],
    /// What the group and the groups below it use, the cache of files included.
    usage: &'static str,
    /// The line of `memory.stat` with the cache that the system gives up first.
    cache: &'static str,
}

const VERSION_1: Controller = Controller {
    mount: "sys/fs/cgroup/memory",
    limits: &["memory.limit_in_bytes"],
    usage: "memory.usage_in_bytes",
    cache: "total_inactive_file",
};

const VERSION_2: Controller = Controller {
    mount: "sys/fs/cgroup",
    limits: &["memory.max", "memory.high"],
    usage: "memory.current",
    cache: "inactive_file",
};

/// Bytes that this process may still use without swapping: the least of what the machine has free and of what is
/// left to the process's control group and to each group above it. None where the system says nothing.
pub fn available() -> Option<u64> {
    available_below(Path::new("/"))
}

fn available_below(root: &Path) -> Option<u64> {
    let machine = value(&root.join("proc/meminfo"), "MemAvailable:").map(|kilobytes| kilobytes * 1024);
    let listed = fs::read_to_string(root.join(GROUPS)).unwrap_or_default();
    let groups = listed.lines().filter_map(|line| allowed(root, line));
    machine.into_iter().chain(groups).min()
}

/// What is left to a group of the list, and to each group above it. A line reads `ID:CONTROLLERS:PATH`; version 2
/// has the one line `0::PATH`.
fn allowed(root: &Path, line: &str) -> Option<u64> {
    let (_, line) = line.split_once(':')?;
    let (controllers, path) = line.split_once(':')?;
    let controller = match controllers {
        "" => VERSION_2,
        _ if controllers.split(',').any(|name| name == "memory") => VERSION_1,
        _ => return None,
    };
    let mount = root.join(controller.mount);
    // A container may see its own group as the mount itself, under a path that exists outside alone: only the
    // folders that are there count.
    let group = mount.join(path.trim_start_matches('/'));
    group.ancestors().take_while(|group| group.starts_with(&mount)).filter_map(|g| controller.left(g)).min()
}

impl Controller {
    /// Bytes that are left to one group; none where it has no limit.
    fn left(&self, group: &Path) -> Option<u64> {
        let limit = self.limits.iter().filter_map(|limit| number(group.join(limit))).min()?;
        let usage = number(group.join(self.usage))?;
        let cache = value(&group.join("memory.stat"), self.cache).unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(cache)))
    }
}

/// The number in a file; none for "max", which stands for no limit.
fn number(path: PathBuf) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number after a word at the beginning of a line.
fn value(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| if words.next()? == name { words.next()?.parse().ok() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with a million kilobytes free and these files below its root.
    fn left(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        let meminfo = ("proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable:    1000000 kB\n");
        for (path, text) in [meminfo].iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        available_below(root.path())
    }

    #[test]
    fn without_a_limit_the_machine_decides() {
        assert_eq!(left(&[]), Some(1_024_000_000));
        let unlimited = [
            (GROUPS, "0::/user\n"),
            ("sys/fs/cgroup/user/memory.max", "max\n"),
            ("sys/fs/cgroup/user/memory.current", "5000\n"),
        ];
        assert_eq!(left(&unlimited), Some(1_024_000_000));
        assert_eq!(available_below(Path::new("/nowhere")), None);
        assert!(available().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn the_tightest_group_decides_and_its_cache_counts_as_free() {
        let mut files = vec![
            (GROUPS, "0::/job/task\n"),
            ("sys/fs/cgroup/job/task/memory.max", "9000\n"),
            ("sys/fs/cgroup/job/task/memory.high", "8000\n"),
            ("sys/fs/cgroup/job/task/memory.current", "3000\n"),
            ("sys/fs/cgroup/job/task/memory.stat", "anon 1\ninactive_file 500\nactive_file 7\n"),
        ];
        assert_eq!(left(&files), Some(8000 - 2500));
        files.push(("sys/fs/cgroup/job/memory.max", "6000\n"));
        files.push(("sys/fs/cgroup/job/memory.current", "4000\n"));
        assert_eq!(left(&files), Some(2000));
        files.push(("sys/fs/cgroup/job/memory.high", "100\n"));
        assert_eq!(left(&files), Some(0));
    }

    #[test]
    fn the_first_version_of_control_groups_is_read_too() {
        let mut files = vec![
            (GROUPS, "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n"),
            ("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "3000\n"),
        ];
        assert_eq!(left(&files), Some(1_024_000_000));
        // Inside the container the group is the mount.
        files.push(("sys/fs/cgroup/memory/memory.limit_in_bytes", "7000\n"));
        files.push(("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000\n"));
        files.push(("sys/fs/cgroup/memory/memory.stat", "inactive_file 9\ntotal_inactive_file 1000\n"));
        assert_eq!(left(&files), Some(5000));
    }
}
