//! What the source files of a crate say of each other: the modules that they name, apart from their tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The segments of a path, from the crate's root on.
pub type Segments = Vec<String>;

/// A source file: a module, or the crate's root.
#[derive(Debug, Default)]
pub struct Source {
    /// The module's path; empty for `lib.rs` and `main.rs`.
    pub module: Segments,
    /// Paths in the crate that the file uses.
    pub uses: BTreeSet<Segments>,
    /// Names that it re-exports, and where they are from.
    pub reexports: BTreeMap<String, Segments>,
    /// Every word of it.
    pub words: BTreeSet<String>,
}

/// Reads all source files below a crate's `src`, with their paths.
pub fn read(src: &Path) -> Result<Vec<(PathBuf, Source)>> {
    let mut sources = Vec::new();
    let mut waiting = vec![src.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let module = module_of(path.strip_prefix(src)?);
            let source = Source::parse(module, &fs::read_to_string(&path)?)
                .map_err(|error| anyhow!("{} cannot be read as Rust: {error}", path.display()))?;
            sources.push((path, source));
        }
    }
    sources.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(sources)
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`.
fn module_of(file: &Path) -> Segments {
    let path = file.with_extension("");
    let mut module: Segments = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") || ["lib", "main"].map(Path::new).contains(&&*path) {
        module.pop();
    }
    module
}

impl Source {
    /// Reads a file's text.
    pub fn parse(module: Segments, text: &str) -> Result<Self, proc_macro2::LexError> {
        let tokens: Vec<TokenTree> = text.parse::<TokenStream>()?.into_iter().collect();
        let mut source = Self { module: module.clone(), ..Self::default() };
        let children = tokens.windows(3).filter_map(|three| match three {
            [keyword, name, end] if is(keyword, "mod") && is(end, ";") => Some(name.to_string()),
            _ => None,
        });
        let scope = Scope { here: module, children: children.collect() };
        source.scan(&tokens, &scope);
        Ok(source)
    }

    fn scan(&mut self, tokens: &[TokenTree], scope: &Scope) {
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at..] {
                [hash, TokenTree::Group(attribute), item @ ..]
                    if is(hash, "#") && is_test(&attribute.stream()) =>
                {
                    2 + item.iter().position(ends_item).map_or(item.len(), |end| end + 1)
                }
                [keyword, name, TokenTree::Group(body), ..]
                    if is(keyword, "mod") && body.delimiter() == Delimiter::Brace =>
                {
                    self.scan(&list(&body.stream()), &scope.inner(name.to_string()));
                    3
                }
                [keyword, item @ ..] if is(keyword, "use") => {
                    let item = item.split(|token| is(token, ";")).next().unwrap_or(item);
                    // `pub use` and `pub(crate) use`.
                    let public = tokens[..at].iter().rev().take(2).any(|token| is(token, "pub"));
                    self.import(item, public, scope);
                    1 + item.len()
                }
                [TokenTree::Group(group), ..] => {
                    self.scan(&list(&group.stream()), scope);
                    1
                }
                [TokenTree::Ident(_), ..] => {
                    let path = segments(&tokens[at..]);
                    self.words.extend(path.iter().cloned());
                    self.uses.extend(scope.full(&path).filter(|_| path.len() > 1));
                    3 * path.len() - 2 // Each `::` is two tokens.
                }
                _ => 1,
            };
        }
    }

    fn import(&mut self, item: &[TokenTree], public: bool, scope: &Scope) {
        let mut leaves = Vec::new();
        tree(item, &Vec::new(), &mut leaves);
        for Leaf { path, name } in leaves {
            self.words.extend(path.iter().cloned());
            let Some(path) = scope.full(&path) else { continue };
            // What a module re-exports from the modules below it, it need not use itself.
            if !(public && path.starts_with(&self.module)) {
                self.uses.insert(path.clone());
            }
            if public && scope.here == self.module {
                self.reexports.insert(name, path);
            }
        }
    }
}

/// Where a path is read.
struct Scope {
    /// The module, which may be one inside a file.
    here: Segments,
    /// The modules that the file declares.
    children: BTreeSet<String>,
}

impl Scope {
    fn inner(&self, module: String) -> Self {
        Self { here: [&self.here[..], &[module]].concat(), children: BTreeSet::new() }
    }

    /// The path from the crate's root on; none for a path that leads elsewhere.
    fn full(&self, path: &[String]) -> Option<Segments> {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let above = self.here.len().checked_sub(supers)?;
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([&self.here[..], &path[1..]].concat()),
            "super" => Some([&self.here[..above], &path[supers..]].concat()),
            child if self.children.contains(child) => Some([&self.here[..], path].concat()),
            _ => None,
        }
    }
}

/// One name that a `use` brings in.
struct Leaf {
    path: Segments,
    /// What it is called here.
    name: String,
}

/// The leaves of `a::{b, c::d as e}`, each after the segments of `prefix`.
fn tree(tokens: &[TokenTree], prefix: &Segments, leaves: &mut Vec<Leaf>) {
    for branch in tokens.split(|token| is(token, ",")) {
        let mut path = [prefix.clone(), segments(branch)].concat();
        match branch.last() {
            Some(TokenTree::Group(group)) => tree(&list(&group.stream()), &path, leaves),
            Some(last) => {
                if path.last().is_some_and(|segment| segment == "self") && path.len() > 1 {
                    path.pop();
                }
                leaves.push(Leaf { path, name: last.to_string() });
            }
            None => {}
        }
    }
}

/// The words at the front that `::` joins.
fn segments(tokens: &[TokenTree]) -> Segments {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(word), after @ ..] = rest {
        path.push(word.to_string());
        match after {
            [first, second, after @ ..] if is(first, ":") && is(second, ":") => rest = after,
            _ => break,
        }
    }
    path
}

fn list(tokens: &TokenStream) -> Vec<TokenTree> {
    tokens.clone().into_iter().collect()
}

fn is(token: &TokenTree, text: &str) -> bool {
    !matches!(token, TokenTree::Group(_)) && token.to_string() == text
}

fn is_test(attribute: &TokenStream) -> bool {
    attribute.to_string().replace(' ', "") == "cfg(test)"
}

/// Whether an item is over: with a semicolon or its body.
fn ends_item(token: &TokenTree) -> bool {
    is(token, ";") || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}
