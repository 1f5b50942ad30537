//! The folder that stands for S3: the files of a location, and writing them. Nothing outside of it is read or written.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::Failed;
use crate::dialect::Refused;

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// `s3://bucket/key`
    pub(super) url: String,
    pub(super) path: PathBuf,
}

/// A file that is written, but not yet in its place. Dropped, it goes.
pub(super) struct Staged {
    pub(super) path: PathBuf,
    url: String,
    part: PathBuf,
}

impl Staged {
    /// Puts it into its place. What is there is replaced, and never written through: a symbolic link goes, and what it names stays.
    pub(super) fn place(&self) -> Result<(), Failed> {
        std::fs::rename(&self.part, &self.path).map_err(|e| Failed::Unwritten(self.url.clone(), e))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.part);
    }
}

/// How a file is compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the end of a file's name, as Spectrum does. [Amazon Redshift Database Developer Guide, "Data files for queries in Amazon Redshift
    /// Spectrum"; Zstandard is not in its list]
    ///
    /// # Errors
    /// A compression that is not done here.
    pub(super) fn of(file: &File) -> Result<Self, Refused> {
        match file.path.extension().and_then(OsStr::to_str) {
            Some("gz") => Ok(Self::Gzip),
            Some(other @ ("bz2" | "snappy" | "lzo" | "zst" | "deflate")) => Err(Refused::lacking(
                format!("text files that end with .{other} ({})", file.url),
                "compress them as .gz",
            )),
            _ => Ok(Self::None),
        }
    }

    /// What UNLOAD ends the names of its files with.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    pub(super) fn compress(self, bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
        use std::io::Write as _;
        match self {
            Self::None => Ok(bytes),
            Self::Gzip => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                gzip.write_all(&bytes)?;
                gzip.finish()
            }
            Self::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                Ok(ruzstd::encoding::compress_to_vec(&bytes[..], level))
            }
        }
    }

    fn expand(self, bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
        let mut all = Vec::new();
        match self {
            Self::None => return Ok(bytes),
            Self::Gzip => append(flate2::read::MultiGzDecoder::new(&bytes[..]), &mut all)?,
            Self::Zstd => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let frame = ruzstd::decoding::StreamingDecoder::new(&mut rest);
                    append(frame.map_err(std::io::Error::other)?, &mut all)?;
                }
            }
        }
        Ok(all)
    }
}

/// The most that a compressed file may hold: a few bytes can claim any number.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

fn append(from: impl std::io::Read, all: &mut Vec<u8>) -> std::io::Result<()> {
    let left = MOST_BYTES.saturating_sub(u64::try_from(all.len()).unwrap_or(u64::MAX));
    let read = from.take(left + 1).read_to_end(all)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > left {
        return Err(std::io::Error::other("it holds more than 256 MB, which is the most here: split it"));
    }
    Ok(())
}

impl File {
    fn failed(&self, error: std::io::Error) -> Failed {
        Failed::File(self.url.clone(), error)
    }

    /// What tells this version of the file from others.
    pub(super) fn version(&self) -> Result<String, Failed> {
        let about = std::fs::metadata(&self.path).map_err(|e| self.failed(e))?;
        Ok(format!("{} {} {:?}", self.url, about.len(), about.modified().ok()))
    }

    pub(super) fn read(&self, compression: Compression) -> Result<Vec<u8>, Failed> {
        let bytes = std::fs::read(&self.path).and_then(|bytes| compression.expand(bytes));
        bytes.map_err(|e| self.failed(e))
    }
}

/// Ends a URL that names a bucket alone, so that it is the whole of it and of no other whose name begins so.
pub(super) fn rooted(url: &mut String) {
    if url.strip_prefix("s3://").is_some_and(|key| !key.is_empty() && !key.contains('/')) {
        url.push('/');
    }
}

/// The folder that stands for S3, with a folder for each bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder<'a>(pub(super) &'a Path);

impl Folder<'_> {
    /// Bucket and key of a URL.
    fn key(url: &str) -> Result<String, Refused> {
        let mut url = url.to_owned();
        rooted(&mut url);
        let key = url.strip_prefix("s3://").unwrap_or_default();
        if key.is_empty() || key.starts_with('/') {
            return Err(Refused::Wrong(format!("{url:?} has no bucket: it is s3://bucket/key")));
        }
        if key.split('/').any(|part| [".", ".."].contains(&part)) || key.contains('\0') {
            return Err(Refused::Wrong(format!("{url:?} leaves its bucket")));
        }
        Ok(key.to_owned())
    }

    /// Refuses what lies elsewhere: a symbolic link on the way is not followed.
    fn inside(self, path: &Path, url: &str) -> Result<(), Failed> {
        let failed = |e| Failed::File(url.to_owned(), e);
        let root = self.0.canonicalize().map_err(failed)?;
        let below = path.strip_prefix(self.0).unwrap_or(path);
        if path.canonicalize().map_err(failed)? == root.join(below) {
            return Ok(());
        }
        Err(Refused::Wrong(format!("{url:?} is or lies behind a symbolic link, which is not followed")).into())
    }

    fn url(self, path: &Path) -> String {
        format!("s3://{}", path.strip_prefix(self.0).unwrap_or(path).display())
    }

    /// The files under a location, in their order: every file of whose path it is the beginning. Names that begin with a dot are of those
    /// that a system leaves in any folder, and are none unless the location asks for them.
    pub(super) fn files(self, location: &str) -> Result<Vec<File>, Failed> {
        let key = Self::key(location)?;
        let (parent, prefix) = key.rsplit_once('/').unwrap_or_default();
        let parent = self.0.join(parent);
        let mut found = Vec::new();
        let mut open = vec![parent.clone()];
        while let Some(dir) = open.pop() {
            let entries = match std::fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => continue,
                Err(error) => return Err(Failed::File(self.url(&dir), error)),
            };
            self.inside(&dir, location)?;
            for entry in entries.flatten() {
                let (name, path) = (entry.file_name(), entry.path());
                let name = name.to_string_lossy();
                let asked = if dir == parent { prefix } else { "" };
                if !name.starts_with(asked) || (name.starts_with('.') && !asked.starts_with('.')) {
                    continue;
                }
                let url = self.url(&path);
                self.inside(&path, &url)?;
                if path.is_dir() {
                    open.push(path);
                } else if path.is_file() {
                    found.push(File { url, path });
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Those of them that Spectrum reads. [Amazon Redshift Database Developer Guide, CREATE EXTERNAL TABLE, LOCATION]
    pub(super) fn shown(self, location: &str) -> Result<Vec<File>, Failed> {
        let mut files = self.files(location)?;
        let parent = location.rsplit_once('/').map_or(0, |(parent, _)| parent.len());
        let is_hidden = |name: &str| name.starts_with(['.', '_', '#']) || name.ends_with('~');
        files.retain(|file| !file.url.get(parent..).unwrap_or_default().split('/').any(is_hidden));
        Ok(files)
    }

    /// The one file of a URL.
    pub(super) fn file(self, url: &str) -> Result<Option<File>, Failed> {
        let path = self.0.join(Self::key(url)?);
        if !path.is_file() {
            return Ok(None);
        }
        self.inside(&path, url)?;
        Ok(Some(File { url: url.to_owned(), path }))
    }

    /// Writes a file beside its place, and the folders that it lies in.
    pub(super) fn stage(self, url: &str, bytes: &[u8]) -> Result<Staged, Failed> {
        let failed = |e| Failed::Unwritten(url.to_owned(), e);
        let key = Self::key(url)?;
        std::fs::create_dir_all(self.0).map_err(failed)?;
        let mut parent = self.0.to_path_buf();
        let (folders, name) = key.rsplit_once('/').unwrap_or_default();
        for part in folders.split('/') {
            parent.push(part);
            match std::fs::create_dir(&parent) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
                _ => self.inside(&parent, url)?,
            }
        }
        let path = parent.join(name);
        if path.is_dir() {
            return Err(failed(ErrorKind::IsADirectory.into()));
        }
        let part = parent.join(format!("._{}", uuid::Uuid::new_v4()));
        let staged = Staged { path, url: url.to_owned(), part };
        std::fs::write(&staged.part, bytes).map_err(failed)?;
        Ok(staged)
    }

    /// Removes a file that [`Folder::files`] found.
    pub(super) fn remove(self, file: &File) -> Result<(), Failed> {
        std::fs::remove_file(&file.path).map_err(|e| Failed::Unwritten(file.url.clone(), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Root(PathBuf);

    impl Root {
        fn new() -> Self {
            let root = std::env::temp_dir().join(format!("redshift-data-local-{}", uuid::Uuid::new_v4()));
            std::fs::create_dir_all(root.join("s3")).expect("a folder");
            Self(root)
        }

        fn folder(&self) -> PathBuf {
            self.0.join("s3")
        }

        fn file(&self, name: &str) {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "secret").expect("a file");
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_location_is_the_beginning_of_its_files_paths() {
        let root = Root::new();
        for name in ["b/x/one.csv", "b/x/one.txt", "b/x/sub/two.csv", "b/x/.DS_Store", "b/xy.csv"] {
            root.file(&format!("s3/{name}"));
        }
        let folder = root.folder();
        let found = |location| {
            let files = Folder(&folder).files(location).expect(location);
            files.into_iter().map(|f| f.url).collect::<Vec<_>>()
        };
        assert_eq!(found("s3://b/x/"), ["s3://b/x/one.csv", "s3://b/x/one.txt", "s3://b/x/sub/two.csv"]);
        assert_eq!(
            found("s3://b/x"),
            ["s3://b/x/one.csv", "s3://b/x/one.txt", "s3://b/x/sub/two.csv", "s3://b/xy.csv"]
        );
        assert_eq!(found("s3://b/x/one.c"), ["s3://b/x/one.csv"]);
        assert_eq!(found("s3://b/x/.D"), ["s3://b/x/.DS_Store"]);
        for name in ["_SUCCESS", "#one", "one~", "_temporary/one", "sub/.one"] {
            root.file(&format!("s3/hidden/a/{name}"));
        }
        assert_eq!(found("s3://hidden/a").len(), 4);
        root.file("s3/hidden/a/sub/one");
        for location in ["s3://hidden/a/", "s3://hidden/a", "s3://hidden"] {
            let shown = Folder(&folder).shown(location).expect(location);
            assert_eq!(shown.into_iter().map(|f| f.url).collect::<Vec<_>>(), ["s3://hidden/a/sub/one"], "{location}");
        }
        assert_eq!(found("s3://nothing/"), [""; 0]);
        assert_eq!(found("s3://b/xy.csv/z"), [""; 0]);
    }

    #[test]
    fn nothing_outside_of_the_folder_is_read_or_written() {
        let root = Root::new();
        root.file("outside/secret.csv");
        root.file("s3/b/inside.csv");
        let link =
            |from: &str, to: &str| std::os::unix::fs::symlink(root.0.join(to), root.0.join(from)).expect("a link");
        link("s3/b/linked", "outside");
        link("s3/b/secret.csv", "outside/secret.csv");
        link("s3/bucket", "outside");
        let folder = root.folder();
        let folder = Folder(&folder);
        let outside = root.0.join("outside").display().to_string();
        for location in [
            "s3://b/../../outside/".to_owned(),
            "s3://b/x/../../../outside/secret.csv".to_owned(),
            "s3://../outside/".to_owned(),
            "s3://./b/".to_owned(),
            format!("s3://{outside}/"),
            format!("{outside}/secret.csv"),
            "s3://".to_owned(),
            "s3://b/linked/".to_owned(),
            "s3://b/linked".to_owned(),
            "s3://b/secret".to_owned(),
            "s3://bucket/secret.csv".to_owned(),
        ] {
            let failed = folder.files(&location).expect_err(&location).to_string();
            assert!(!failed.contains("No such file"), "{location}: {failed}");
            assert!(!matches!(folder.file(&location), Ok(Some(_))), "{location}");
        }
        for url in ["s3://b/linked/new.csv", "s3://bucket/new.csv", "s3://b/../../outside/new.csv", "s3:///new.csv"] {
            assert!(folder.stage(url, b"new").is_err(), "{url}");
        }
        folder.stage("s3://b/secret.csv", b"new").and_then(|file| file.place()).expect("in place of the link");
        assert_eq!(std::fs::read(root.0.join("outside/secret.csv")).expect("there"), b"secret");
        assert_eq!(std::fs::read_dir(root.0.join("outside")).expect("a folder").count(), 1);
        drop(folder.stage("s3://new/bucket/none.csv", b"new").expect("written"));
        folder.stage("s3://new/bucket/and.csv", b"new").and_then(|file| file.place()).expect("written");
        assert_eq!(folder.files("s3://new/").expect("files").len(), 1);
    }

    #[test]
    fn what_is_compressed_comes_back() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let text = "1,one\n".repeat(1000).into_bytes();
            let once = compression.compress(text.clone()).expect("compressed");
            // Files that were appended to each other are one.
            let twice = [once.clone(), once].concat();
            assert_eq!(compression.expand(twice).expect("expanded"), [text.clone(), text].concat(), "{compression:?}");
        }
        let mut all = Vec::new();
        append(std::io::repeat(0).take(MOST_BYTES), &mut all).expect("as much as there may be");
        let more = append(&b"0"[..], &mut all).expect_err("more").to_string();
        assert!(more.contains("256 MB"), "{more}");
        assert!(Compression::Gzip.expand(b"plain".to_vec()).is_err());
        assert!(Compression::Zstd.expand(b"plain".to_vec()).is_err());
    }
}
