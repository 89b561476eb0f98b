//! What is fetched without a network: a `python3` of our own gives packages, and the hub's cache is filled by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{self, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use onejump_core::files;
use onejump_core::observe::{Meter, Observer, Silent, Stopped, Task};
use onejump_fetch::builtin::{BuiltinModel, Terms};
use onejump_fetch::hub::{self, Id};
use onejump_fetch::{FetchError, model, packages};

const CONTENT: &[u8] = b"GGUF and so on";

/// The environment belongs to a whole process: a test runs itself again in one of its own. True in that process.
fn with_environment(test: &str, set: &[(&str, &Path)], prepare: impl FnOnce()) -> bool {
    const INSIDE: &str = "ONEJUMP_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    prepare();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").envs(set.iter().copied());
    assert!(command.status().unwrap().success());
    false
}

/// Makes `python3` in the folder that is first in PATH a shell script.
fn python(script: &str) {
    let path = std::env::var("PATH").unwrap();
    let program = Path::new(path.split(':').next().unwrap()).join("python3");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A package with the model and another file.
fn write_package(path: &Path) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    let (first, second) = CONTENT.split_at(5);
    let pieces: [(&str, &[u8]); 3] =
        [("tiny/model.part0", first), ("tiny/model.part1", second), ("tiny/TERMS", b"Be good.")];
    for (name, content) in
        [("tiny/model.gguf", CONTENT), ("tiny/__init__.py", b"pass")].into_iter().chain(pieces)
    {
        archive.start_file(name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap();
}

/// Stops at once.
struct Stopping;

impl Observer for Stopping {
    fn begin(&self, _: Task) -> Box<dyn Meter + '_> {
        Box::new(Silent)
    }

    fn check(&self) -> Result<(), Stopped> {
        Err(Stopped { by: "SIGINT" })
    }
}

#[test]
fn a_builtin_model_is_whole_or_absent() {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let set = [("PATH", Path::new(&path)), ("ONEJUMP_CACHE", &folder.path().join("cache"))];
    let prepare = || {
        fs::create_dir(&programs).unwrap();
        write_package(&programs.join("tiny-1.whl"));
    };
    if !with_environment("a_builtin_model_is_whole_or_absent", &set, prepare) {
        return;
    }
    let sha256 = Box::leak(files::sha256_bytes(CONTENT).into_boxed_str());
    let tiny = BuiltinModel {
        name: "tiny",
        packages: &["tiny==1"],
        bytes: 200,
        file: "model.gguf",
        pieces: &["tiny/model.gguf"],
        sha256,
        hub: "some/tiny",
        license: "mit",
        terms: None,
    };
    let fails = |model: BuiltinModel, observer: &dyn Observer| {
        let error = model.fetch(observer).unwrap_err();
        let left = fs::read_dir(model.path().parent().unwrap().parent().unwrap());
        assert_eq!(left.unwrap().count(), 0, "{error}");
        error
    };

    python("echo '/usr/bin/python3: No module named pip' >&2; exit 1");
    assert!(matches!(fails(tiny, &Silent), FetchError::NoPip));
    python("echo 'ERROR: [Errno 28] No space left on device' >&2; exit 1");
    assert!(matches!(fails(tiny, &Silent), FetchError::NoSpace { .. }));
    python("echo 'WARNING: again' >&2; echo 'ERROR: No matching distribution' >&2; exit 1");
    let message = fails(tiny, &Silent).to_string();
    assert!(message.contains("pip cannot download tiny==1: ERROR: No matching distribution"), "{message}");
    assert!(matches!(fails(tiny, &Stopping), FetchError::Stopped(_)));
    // The name and version come last, the folder after --dest.
    let give = "for last; do if [ \"$before\" = --dest ]; then dest=$last; fi; before=$last; done; cp ";
    python(&format!("{give}\"$0\" \"$dest/tiny-1.whl\""));
    assert!(matches!(fails(tiny, &Silent), FetchError::Broken { .. }));
    python(&format!("{give}\"${{0%/*}}/tiny-1.whl\" \"$dest\""));
    let other = BuiltinModel { sha256: "0123", ..tiny };
    assert!(matches!(fails(other, &Silent), FetchError::WrongContent { .. }));
    let other = BuiltinModel { pieces: &["tiny/model.part0", "tiny/model.part2"], ..tiny };
    assert!(fails(other, &Silent).to_string().contains("tiny/model.part2"));
    let other = BuiltinModel { pieces: &["tiny/model.part1", "tiny/model.part0"], ..tiny };
    assert!(matches!(fails(other, &Silent), FetchError::WrongContent { .. }));
    let in_pieces = BuiltinModel {
        name: "in-pieces",
        pieces: &["tiny/model.part0", "tiny/model.part1"],
        terms: Some(Terms { name: "the terms", member: "tiny/TERMS" }),
        ..tiny
    };
    let log = Arc::new(tempfile::tempfile().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(Arc::clone(&log)).finish();
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(fs::read(in_pieces.fetch(&Silent).unwrap()).unwrap(), CONTENT);
        in_pieces.fetch(&Silent).unwrap();
    });
    log.as_ref().rewind().unwrap();
    let said = io::read_to_string(&*log).unwrap();
    assert_eq!(said.matches("may be used under the terms").count(), 1, "{said}");
    let beside = in_pieces.path().with_file_name("TERMS");
    assert_eq!(fs::read_to_string(beside).unwrap(), "Be good.");
    assert!(!in_pieces.path().with_file_name("model.part1").exists());
    fs::remove_dir_all(in_pieces.path().parent().unwrap()).unwrap();

    assert_eq!(fs::read(tiny.fetch(&Silent).unwrap()).unwrap(), CONTENT);
    python("exit 1");
    tiny.fetch(&Silent).unwrap();
    fs::write(tiny.path(), "GGUF").unwrap();
    assert!(!packages::is_whole(tiny.path().parent().unwrap()));
    assert!(matches!(tiny.fetch(&Silent), Err(FetchError::Pip { .. })));
    python(&format!("{give}\"${{0%/*}}/tiny-1.whl\" \"$dest\""));
    assert_eq!(fs::read(tiny.fetch(&Silent).unwrap()).unwrap(), CONTENT);
}

#[test]
fn files_of_a_repository_come_from_the_hubs_cache() {
    let folder = tempfile::tempdir().unwrap();
    let set = [("HF_HUB_CACHE", folder.path()), ("HF_HUB_OFFLINE", Path::new("1"))];
    let prepare = || {
        let repository = folder.path().join("models--someone--jumps");
        for name in ["refs", "snapshots/abc"] {
            fs::create_dir_all(repository.join(name)).unwrap();
        }
        fs::write(repository.join("refs/main"), "abc").unwrap();
        fs::write(repository.join("snapshots/abc/ojfa.safetensors"), CONTENT).unwrap();
    };
    if !with_environment("files_of_a_repository_come_from_the_hubs_cache", &set, prepare) {
        return;
    }
    let id = Id::parse("someone/jumps").unwrap();
    let found = hub::files(&id, &["ojfa.safetensors"], &Silent).unwrap();
    assert_eq!(fs::read(found.join("ojfa.safetensors")).unwrap(), CONTENT);
    let error = hub::files(&id, &["ojfa.safetensors", "other.safetensors"], &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Offline { repository, .. } if repository == "someone/jumps"));
}

#[test]
fn a_name_that_stands_for_nothing_is_told_apart() {
    assert!(matches!(model("gpt5", &Silent), Err(FetchError::UnknownModel { .. })));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert!(matches!(model(file, &Silent), Err(FetchError::NotACheckpoint { .. })));
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(model(folder, &Silent).unwrap(), Path::new(folder));
}
