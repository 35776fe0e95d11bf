//! Where a command's result goes: standard output, or a file that appears whole.

use anyhow::{Context, Result};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A place to write a result to. Nothing is visible in a regular file before [`Output::finish`].
pub struct Output {
    to: To,
    path: Option<PathBuf>,
}

enum To {
    /// Standard output, a device, a pipe: bytes go straight there.
    Stream(File),
    /// A temporary file beside the one that is meant, which takes its place at the end.
    Beside(tempfile::NamedTempFile, PathBuf),
}

impl Output {
    /// `None` is standard output.
    pub fn new(path: Option<&Path>) -> Result<Output> {
        let to = match path {
            None => {
                // Past the standard library's line buffer, which has no use for megabytes.
                let fd = io::stdout().as_fd().try_clone_to_owned();
                To::Stream(File::from(fd.context("cannot use standard output")?))
            }
            Some(path) => open(path).with_context(|| cannot(path))?,
        };
        let path = path.map(Path::to_owned);
        Ok(Output { to, path })
    }

    /// Whether nobody sees any of it before [`Output::finish`].
    pub fn is_hidden(&self) -> bool {
        matches!(self.to, To::Beside(..))
    }

    /// Makes what was written take its place.
    pub fn finish(self) -> Result<()> {
        match self.to {
            To::Stream(_) => Ok(()),
            To::Beside(file, path) => {
                let shown = self.path.unwrap_or_else(|| path.clone());
                let moved = file.persist(&path).map_err(|e| e.error);
                moved.map(|_| ()).with_context(|| cannot(&shown))
            }
        }
    }

    /// Writes all of it and finishes.
    pub fn put(mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).with_context(|| self.trouble())?;
        self.finish()
    }

    /// What to say when writing fails.
    pub fn trouble(&self) -> String {
        match &self.path {
            Some(path) => cannot(path),
            None => "cannot write to standard output".to_owned(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Stream(file) => file.write(bytes),
            To::Beside(file, _) => file.as_file_mut().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn cannot(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn open(path: &Path) -> io::Result<To> {
    let (path, mode) = match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if !meta.is_file() => {
            return Ok(To::Stream(File::options().write(true).open(path)?));
        }
        // Through a symbolic link the file behind it is meant; and its mode is kept.
        Ok(meta) => (fs::canonicalize(path)?, Some(meta.permissions())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
        Err(e) => return Err(e),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .prefix(".btfleet-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        // The temporary file's name would tell a reader nothing.
        .map_err(|e| io::Error::from_raw_os_error(e.raw_os_error().unwrap_or(5)))?;
    if let Some(mode) = mode {
        file.as_file().set_permissions(mode)?;
    }
    Ok(To::Beside(file, path))
}

/// What people and kubectl read.
#[cfg(feature = "cluster")]
pub fn yaml(value: &impl serde::Serialize) -> Result<String> {
    let mut text = serde_saphyr::to_string(value).context("cannot be written as YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
