//! Articles out of a MediaWiki XML dump, one at a time.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::bufread::MultiBzDecoder;
use onejump_core::files::FileError;
use quick_xml::errors::Error as XmlError;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use crate::CorpusError;

/// Four times MediaWiki's own limit for a page: anything longer is damage, not an article.
const MAX_ARTICLE_BYTES: usize = 8 << 20;
const BUFFER_BYTES: usize = 1 << 18;
/// The first bytes of every bzip2 stream.
const BZIP2_MAGIC: &[u8] = b"BZh";

/// An article: a page in the main namespace that is not a redirect.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Article {
    /// The title, as shown above the article.
    pub title: String,
    /// The wikitext.
    pub text: String,
}

/// Counts of the pages that were passed over.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Redirects.
    pub redirects: u64,
    /// Pages outside the main namespace, or not in wikitext.
    pub other: u64,
    /// Pages longer than any real article.
    pub oversized: u64,
}

/// Reads a dump as a stream: only one article and the buffers are in memory.
pub struct DumpReader {
    xml: Reader<BufReader<Box<dyn Read + Send>>>,
    buffer: Vec<u8>,
    path: PathBuf,
    read: Arc<AtomicU64>,
    root_seen: bool,
    root_closed: bool,
    skipped: Skipped,
}

impl DumpReader {
    /// Opens a dump. Its content, not its name, tells whether it is compressed.
    ///
    /// # Errors
    /// The file cannot be read, or does not begin like a dump.
    pub fn open(path: &Path) -> Result<Self, CorpusError> {
        let file = File::open(path).map_err(FileError::reading(path))?;
        let read = Arc::new(AtomicU64::new(0));
        let counting = Counting { inner: file, read: Arc::clone(&read) };
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, counting);
        let start = raw.fill_buf().map_err(FileError::reading(path))?;
        let plain: Box<dyn Read + Send> =
            if start.starts_with(BZIP2_MAGIC) { Box::new(MultiBzDecoder::new(raw)) } else { Box::new(raw) };
        let mut plain = BufReader::with_capacity(BUFFER_BYTES, plain);
        let start = plain.fill_buf().map_err(|error| CorpusError::from_io(path.into(), 0, &error))?;
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        if !text.starts_with(b"<") {
            let found = match text.is_empty() {
                true => "it is empty".to_owned(),
                false => format!("it begins with {:?}", String::from_utf8_lossy(&text[..text.len().min(16)])),
            };
            return Err(CorpusError::NotADump { path: path.into(), found });
        }
        Ok(Self {
            xml: Reader::from_reader(plain),
            buffer: Vec::new(),
            path: path.into(),
            read,
            root_seen: false,
            root_closed: false,
            skipped: Skipped::default(),
        })
    }

    /// Bytes taken from the file so far, before decompression.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The pages that were passed over so far.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// The next article, or `None` at the end of a complete dump.
    ///
    /// # Errors
    /// The dump is cut short, damaged, or no dump at all.
    pub fn next_article(&mut self) -> Result<Option<Article>, CorpusError> {
        let mut page: Option<Page> = None;
        loop {
            self.buffer.clear();
            let event = match self.xml.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(self.describe(error)),
            };
            match event {
                Event::Start(tag) => {
                    let name = tag.local_name();
                    let name: &str = name.as_ref();
                    if !self.root_seen && name != "mediawiki" {
                        let found = format!("its root element is <{name}>");
                        return Err(CorpusError::NotADump { path: self.path.clone(), found });
                    }
                    self.root_seen = true;
                    match &mut page {
                        Some(page) => page.enter(name),
                        None if name == "page" => page = Some(Page::default()),
                        None => {}
                    }
                }
                Event::Empty(tag) => {
                    if let Some(page) = &mut page {
                        page.redirect |= tag.local_name().as_ref() == "redirect";
                    }
                }
                Event::End(tag) => {
                    let name = tag.local_name();
                    self.root_closed |= name.as_ref() == "mediawiki";
                    if name.as_ref() == "page" {
                        if let Some(article) = page.take().and_then(|page| page.article(&mut self.skipped)) {
                            return Ok(Some(article));
                        }
                    } else if let Some(page) = &mut page {
                        page.field = Field::Other;
                    }
                }
                Event::Eof => return self.end(page.as_ref()),
                event => {
                    if let (Some(page), Some(text)) = (&mut page, text_of(&event)) {
                        page.push(&text);
                    }
                }
            }
        }
    }

    fn end(&self, page: Option<&Page>) -> Result<Option<Article>, CorpusError> {
        let path = self.path.clone();
        if let Some(page) = page {
            let found = format!("it ends inside the page {:?}", page.article.title);
            return Err(CorpusError::Truncated { path, found });
        }
        match (self.root_seen, self.root_closed) {
            (true, true) => Ok(None),
            (true, false) => Err(CorpusError::Truncated { path, found: "</mediawiki> is missing".into() }),
            (false, _) => Err(CorpusError::NotADump { path, found: "it has no root element".into() }),
        }
    }

    fn describe(&self, error: XmlError) -> CorpusError {
        let path = self.path.clone();
        let position = self.xml.buffer_position();
        match error {
            XmlError::Io(error) => CorpusError::from_io(path, position, &error),
            // An element or a tag that is not complete at the end of the file was cut off.
            XmlError::IllFormed(quick_xml::errors::IllFormedError::MissingEndTag(tag)) => {
                CorpusError::Truncated { path, found: format!("<{tag}> is never closed") }
            }
            XmlError::Syntax(error) => CorpusError::Truncated { path, found: error.to_string() },
            _ if !self.root_seen => {
                CorpusError::NotADump { path, found: format!("its XML does not parse ({error})") }
            }
            error => CorpusError::Damaged { path, position, reason: error.to_string() },
        }
    }
}

/// Which element of a page the text belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Field {
    #[default]
    Other,
    Title,
    Namespace,
    Model,
    Text,
}

/// A page that is being read.
#[derive(Debug, Default)]
struct Page {
    article: Article,
    namespace: String,
    model: String,
    redirect: bool,
    oversized: bool,
    field: Field,
}

impl Page {
    fn enter(&mut self, element: &str) {
        self.field = match element {
            "title" => Field::Title,
            "ns" => Field::Namespace,
            "model" => Field::Model,
            "text" => Field::Text,
            _ => Field::Other,
        };
        // A dump with the full history has several revisions of a page; the last one counts.
        match self.field {
            Field::Text => self.article.text.clear(),
            Field::Model => self.model.clear(),
            _ => {}
        }
        self.redirect |= element == "redirect";
    }

    fn push(&mut self, text: &str) {
        let field = match self.field {
            Field::Title => &mut self.article.title,
            Field::Namespace => &mut self.namespace,
            Field::Model => &mut self.model,
            Field::Text if self.article.text.len() + text.len() > MAX_ARTICLE_BYTES => {
                self.oversized = true;
                return;
            }
            Field::Text => &mut self.article.text,
            Field::Other => return,
        };
        field.push_str(text);
    }

    fn article(self, skipped: &mut Skipped) -> Option<Article> {
        let count = if self.redirect || begins_with_redirect(&self.article.text) {
            &mut skipped.redirects
        } else if !matches!(self.namespace.trim(), "0" | "") || !matches!(self.model.trim(), "wikitext" | "")
        {
            &mut skipped.other
        } else if self.oversized {
            &mut skipped.oversized
        } else {
            return Some(self.article);
        };
        *count += 1;
        None
    }
}

fn begins_with_redirect(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    start.len() >= 9 && start[..9].eq_ignore_ascii_case(b"#redirect")
}

/// The text that an event adds to its element: characters, or one that is written as a reference.
fn text_of<'a>(event: &'a Event) -> Option<Cow<'a, str>> {
    match event {
        Event::Text(text) => Some(text.xml10_content()),
        Event::CData(text) => Some(text.xml10_content()),
        Event::GeneralRef(reference) => {
            let character = reference.resolve_char_ref().ok().flatten().map(String::from);
            let named = || resolve_predefined_entity(reference).map(str::to_owned);
            character.or_else(named).map(Cow::Owned)
        }
        _ => None,
    }
}

/// Counts the bytes that are read.
struct Counting<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn open(content: &[u8]) -> Result<Vec<Article>, CorpusError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let mut dump = DumpReader::open(file.path())?;
        std::iter::from_fn(|| dump.next_article().transpose()).collect()
    }

    fn bz2(text: &str) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    const START: &str = "<mediawiki><siteinfo><sitename>W</sitename></siteinfo>";

    fn page(title: &str, ns: u32, text: &str) -> String {
        format!(
            "<page><title>{title}</title><ns>{ns}</ns><revision><model>wikitext</model>\
             <text xml:space=\"preserve\">{text}</text></revision></page>"
        )
    }

    #[test]
    fn articles_come_with_their_entities_and_nothing_else_comes() {
        let pages = [
            page("A &amp; B", 0, "&lt;b&gt; &quot;x&quot; &#233;"),
            page("Talk:A", 1, "talk"),
            page("R", 0, "#REDIRECT [[A]]"),
            "<page><title>S</title><ns>0</ns><redirect title=\"A\"/><revision><text>x</text></revision></page>".into(),
            "<page><title>Two</title><ns>0</ns><revision><text>old</text></revision><revision><text>new</text></revision></page>"
                .into(),
        ];
        let articles = open(format!("{START}{}</mediawiki>", pages.concat()).as_bytes()).unwrap();
        let found: Vec<_> =
            articles.iter().map(|article| (article.title.as_str(), article.text.as_str())).collect();
        assert_eq!(found, [("A & B", "<b> \"x\" é"), ("Two", "new")]);
    }

    #[test]
    fn several_bzip2_streams_are_one_dump() {
        let mut content = bz2(&format!("{START}{}", page("A", 0, "a")));
        content.extend(bz2(&page("B", 0, "b")));
        content.extend(bz2("</mediawiki>"));
        assert_eq!(open(&content).unwrap().len(), 2);
    }

    #[track_caller]
    fn fails(content: &[u8], message: &str) {
        let error = open(content).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn a_cut_dump_says_so() {
        let long = page("A", 0, &"Some words here and there. ".repeat(2_000));
        let whole = format!("{START}{long}{}</mediawiki>", page("B", 0, "b"));
        let packed = bz2(&whole);
        fails(&packed[..packed.len() / 2], "is cut short");
        fails(&packed[..packed.len() - 1], "is cut short");
        fails(&whole.as_bytes()[..whole.len() / 2], "inside the page \"A\"");
        fails(whole.replace("</mediawiki>", "").as_bytes(), "is cut short");
        fails(&whole.as_bytes()[..whole.len() - 3], "is cut short");
    }

    #[test]
    fn damage_is_told_from_a_cut() {
        let mut packed = bz2(&format!("{START}{}</mediawiki>", page("A", 0, "a")));
        let middle = packed.len() / 2;
        packed[middle..middle + 8].fill(0xA5);
        fails(&packed, "is damaged at byte");
        fails(format!("{START}<page></title>").as_bytes(), "is damaged at byte");
    }

    #[test]
    fn what_is_no_dump_is_refused() {
        fails(b"", "it is empty");
        fails(b"Dear reader", "begins with \"Dear reader\"");
        fails(b"<html><body/></html>", "root element is <html>");
        fails(&bz2("PK"), "begins with \"PK\"");
        assert!(matches!(DumpReader::open(Path::new("no/such/file")), Err(CorpusError::File(_))));
    }
}
