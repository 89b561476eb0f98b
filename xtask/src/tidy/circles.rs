//! Circles of modules inside a crate: modules that use each other cannot be read, or changed, one after the other.
//!
//! A module is a file. The crate's root stands above the others and is left out: what it re-exports counts as the
//! module that it is from. A module that only declares or re-exports the modules below it does not use them.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Segments, Source};

/// The modules that each module uses, with a path that shows it.
type Edges<'a> = BTreeMap<&'a Segments, BTreeMap<&'a Segments, &'a Segments>>;

/// One line for each circle of a crate.
pub fn circles(package: &str, sources: &[Source]) -> Vec<String> {
    let edges = edges(sources);
    let reached: BTreeMap<_, _> = edges.keys().map(|&module| (module, reached(module, &edges))).collect();
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for (&module, there) in &reached {
        if !there.contains(module) || seen.contains(module) {
            continue;
        }
        let circle: Vec<_> = there.iter().copied().filter(|&other| reached[other].contains(module)).collect();
        seen.extend(circle.iter().copied());
        problems.push(describe(package, &circle, &edges));
    }
    problems
}

fn describe(package: &str, circle: &[&Segments], edges: &Edges) -> String {
    let names: Vec<_> = circle.iter().map(|module| module.join("::")).collect();
    let mut text = format!("{package}: the modules {} use each other", names.join(", "));
    for &module in circle {
        for (other, path) in edges[module].iter().filter(|(other, _)| circle.contains(*other)) {
            let (module, other, path) = (module.join("::"), other.join("::"), path.join("::"));
            text.push_str(&format!("\n  {module} uses {other} (crate::{path})"));
        }
    }
    text
}

fn edges(sources: &[Source]) -> Edges<'_> {
    let mut edges = Edges::new();
    for source in sources.iter().filter(|source| !source.module.is_empty()) {
        let used = edges.entry(&source.module).or_default();
        for path in &source.uses {
            let other = owner(path, sources).filter(|other| !other.is_empty() && **other != source.module);
            used.extend(other.map(|other| (other, path)));
        }
    }
    edges
}

/// The module that a path ends in: that of the longest beginning which is a module, or the one that the next name is
/// re-exported from.
fn owner<'a>(path: &[String], sources: &'a [Source]) -> Option<&'a Segments> {
    let mut path = path.to_vec();
    // A re-export may lead to another one; two that lead to each other do not compile.
    loop {
        let owner = sources
            .iter()
            .filter(|source| path.starts_with(&source.module))
            .max_by_key(|source| source.module.len())?;
        let rest = &path[owner.module.len()..];
        // A crate may have two roots, lib.rs and main.rs.
        let mut same = sources.iter().filter(|source| source.module == owner.module);
        let Some(from) = rest.first().and_then(|name| same.find_map(|source| source.reexports.get(name)))
        else {
            return Some(&owner.module);
        };
        path = [&from[..], &rest[1..]].concat();
    }
}

/// Every module that a module uses, or that those use.
fn reached<'a>(module: &Segments, edges: &Edges<'a>) -> BTreeSet<&'a Segments> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![module];
    while let Some(module) = waiting.pop() {
        for &other in edges.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(other) {
                waiting.push(other);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let module =
            |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let sources: Vec<_> =
            files.iter().map(|(name, text)| Source::parse(module(name), text).unwrap()).collect();
        circles("made-up", &sources)
    }

    #[test]
    fn modules_that_use_each_other_are_found_with_what_shows_it() {
        let files = [
            ("", "mod a; mod b; mod c; mod d; pub use a::A;"),
            ("a", "use crate::{Error, b::{self, B}}; pub struct A; fn f() { b::g() }"),
            ("b", "fn g() { println!(\"{}\", crate::c::C::new()) }"),
            ("c", "//! See [`crate::d`].\n use super::A; use super::d; const TEXT: &str = \"crate::b\";"),
            ("d", "#[cfg(test)] mod tests { use super::*; use crate::a::A; }"),
        ];
        let expected = "made-up: the modules a, b, c use each other\n  a uses b (crate::b::B)\n  \
            b uses c (crate::c::C::new)\n  c uses a (crate::A)";
        assert_eq!(found(&files), [expected]);
    }

    #[test]
    fn a_parent_that_only_declares_and_re_exports_is_in_no_circle() {
        let child = ("a::b", "use super::Parent; use super::c::C; pub struct B;");
        let parent = ("a", "mod b; mod c; pub use b::B; pub(crate) use self::c::*; pub struct Parent;");
        let sibling = ("a::c", "pub struct C;");
        assert_eq!(found(&[("", "mod a;"), parent, child, sibling]), Vec::<String>::new());
        let user = ("a", "mod b; mod c; pub struct Parent; fn f() { b::g() }");
        assert_eq!(found(&[("", "mod a;"), user, child, sibling]).len(), 1);
    }

    #[test]
    fn a_re_export_counts_as_where_it_is_from() {
        let files = [
            ("", "mod a; mod b; mod c; pub use b::Name as Other;"),
            ("", "mod args; fn main() {}"),
            ("a", "use crate::Other;"),
            ("b", "pub use crate::c::Name;"),
            ("c", "use crate::a;"),
        ];
        assert_eq!(
            found(&files),
            ["made-up: the modules a, c use each other\n  a uses c (crate::Other)\n  c uses a (crate::a)"]
        );
    }
}
