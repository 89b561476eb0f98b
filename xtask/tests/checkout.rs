//! The checkout that a command acts on is the one that it is called in, not the one that it was compiled in.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// A checkout with a crate that no picture has, whose modules use each other and behave like a program.
fn write_checkout(root: &Path) {
    fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"crates/*\", \"xtask\"]\n").unwrap();
    for (folder, name) in [("crates/stray", "onejump-stray"), ("xtask", "xtask")] {
        let src = root.join(folder).join("src");
        fs::create_dir_all(&src).unwrap();
        fs::write(src.join("lib.rs"), "mod a;\nmod b;\n").unwrap();
        fs::write(src.join("a.rs"), "use crate::b::B;\npub struct A;\n").unwrap();
        fs::write(src.join("b.rs"), "use super::a;\nuse onejump_program::say;\npub struct B;\n").unwrap();
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\n");
        fs::write(root.join(folder).join("Cargo.toml"), manifest).unwrap();
    }
}

#[test]
fn a_copied_or_moved_checkout_is_the_one_that_is_looked_at() {
    let base = tempfile::tempdir().unwrap();
    let [copy, moved] = ["copy", "moved"].map(|name| base.path().join(name));
    fs::create_dir(&copy).unwrap();
    write_checkout(&copy);
    let tidy = |folder: &Path, cargos: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("tidy").current_dir(folder).env_remove("CARGO_MANIFEST_DIR");
        command.envs(cargos.map(|folder| ("CARGO_MANIFEST_DIR", folder)));
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let stray = "onejump-stray may depend on nothing yet";
    let said = tidy(&copy.join("crates/stray/src"), None);
    assert!(said.contains(stray), "{said}");
    assert!(
        said.contains("onejump-stray: the modules a, b use each other\n  a uses b (crate::b::B)"),
        "{said}"
    );
    assert!(said.contains("stray/src/b.rs uses onejump_program, which is for binaries"), "{said}");
    fs::rename(copy, &moved).unwrap();
    // As Cargo calls it from anywhere in the workspace.
    let said = tidy(&moved.join("crates"), Some(&moved.join("xtask")));
    assert!(said.contains(stray), "{said}");
    let said = tidy(base.path(), None);
    assert!(said.contains("there is no checkout of Onejump here"), "{said}");
}
