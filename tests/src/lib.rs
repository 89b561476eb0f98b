//! End-to-end tests on the real small model; see the files beside this folder.
