//! Objects in a local folder; [`super::FsStore`] makes a store of it.
//!
//! An object appears whole or not at all: it is written to a temporary file beside its place, synced,
//! and renamed. A writer that is killed leaves a temporary file at most, which no reader sees and a later
//! writer removes.

use super::{Entry, Error, Put};
use crate::artifact::Key;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Objects in a local folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

/// What a temporary file's name begins with. No key can: `~` is none of a key's characters.
const TEMP: &str = "~btfleet-";

impl Folder {
    /// The store at `file:///DIR`, `file://DIR` or plain `DIR`. Nothing is created before the first write.
    ///
    /// # Errors
    /// The place is empty, of another scheme, or something other than a folder.
    pub fn open(place: &str) -> Result<Folder, Error> {
        let refuse = |problem: &str| {
            let (place, problem) = (place.to_owned(), String::from(problem));
            Err(Error::Place { place, problem })
        };
        let path = match place.split_once("://") {
            None => place,
            Some(("file", path)) => path,
            Some(_) => return refuse("only local folders, file://DIR, are supported"),
        };
        if path.is_empty() {
            return refuse("no folder is named");
        }
        match fs::metadata(path) {
            Ok(meta) if !meta.is_dir() => refuse("it is not a folder"),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => refuse("it is not a folder"),
            _ => Ok(Folder { root: path.into() }),
        }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an object lies, or would lie.
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// Reads an object of at most `limit` bytes; `None` if there is none.
    ///
    /// # Errors
    /// It is larger, or cannot be read.
    pub fn get(&self, key: &Key, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.object_path(key)?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if absent(&e) => return Ok(None),
            Err(e) => return Err(Error::io("open", path, e)),
        };
        let meta = file.metadata().map_err(|e| Error::io("read", &path, e))?;
        if !meta.is_file() {
            return Err(not_an_object(key));
        }
        let too_large = |size| Error::TooLarge {
            key: key.to_string(),
            size,
            limit,
        };
        if meta.len() > limit {
            return Err(too_large(meta.len()));
        }
        let mut bytes = Vec::with_capacity(meta.len() as usize);
        let mut file = file.take(limit.saturating_add(1));
        let read = file.read_to_end(&mut bytes);
        read.map_err(|e| Error::io("read", &path, e))?;
        match bytes.len() as u64 {
            size if size > limit => Err(too_large(size)),
            _ => Ok(Some(bytes)),
        }
    }

    /// What is known of an object without reading it; `None` if there is none.
    ///
    /// # Errors
    /// The file system's.
    pub fn head(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let path = self.object_path(key)?;
        match fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => Err(not_an_object(key)),
            Ok(meta) => Ok(Some(Entry {
                key: key.clone(),
                size: meta.len(),
                modified: meta.modified().ok(),
            })),
            Err(e) if absent(&e) => Ok(None),
            Err(e) => Err(Error::io("look at", path, e)),
        }
    }

    /// Writes an object if there is none. Of many that try at once, one writes.
    ///
    /// # Errors
    /// The file system's; nothing is visible under the key then.
    pub fn put_if_absent(&self, key: &Key, bytes: &[u8]) -> Result<Put, Error> {
        if self.head(key)?.is_some() {
            return Ok(Put::Existed);
        }
        let path = self.object_path(key)?;
        match self.written(&path, bytes)?.persist_noclobber(&path) {
            Ok(_) => self.settle(&path).map(|()| Put::Created),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Existed),
            Err(e) => Err(Error::io("write", path, e.error)),
        }
    }

    /// Writes an object, in place of what may be there.
    ///
    /// # Errors
    /// The file system's; what was there is there still.
    pub fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), Error> {
        let path = self.object_path(key)?;
        match self.written(&path, bytes)?.persist(&path) {
            Ok(_) => self.settle(&path),
            Err(e) => Err(Error::io("write", path, e.error)),
        }
    }

    /// Removes an object; `false` if there was none. Folders stay: one may be about to be used.
    ///
    /// # Errors
    /// The file system's.
    pub fn delete(&self, key: &Key) -> Result<bool, Error> {
        let path = self.object_path(key)?;
        match fs::remove_file(&path) {
            Ok(()) => self.settle(&path).map(|()| true),
            Err(e) if absent(&e) => Ok(false),
            Err(e) => Err(Error::io("remove", path, e)),
        }
    }

    /// All objects in a folder (a key that ends in `/`, or `None` for the whole store) and below, by key.
    /// Files whose names are no keys are not shown.
    ///
    /// # Errors
    /// The file system's; and a key that is no folder's. A folder that is not there has no objects.
    pub fn list(&self, folder: Option<&Key>) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::new();
        if let Some(key) = folder.filter(|key| !key.as_str().ends_with('/')) {
            return Err(Error::Key {
                key: key.to_string(),
                problem: "a folder's key ends in a slash",
            });
        }
        self.walk(folder.map_or("", Key::as_str), |name, meta| {
            if let Ok(key) = Key::new(name) {
                found.push(Entry {
                    key,
                    size: meta.len(),
                    modified: meta.modified().ok(),
                });
            }
            Ok(())
        })?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Removes what killed writers left: temporary files older than `age`. Gives their number.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove_leftovers(&self, age: Duration) -> Result<usize, Error> {
        let mut removed = 0;
        self.walk("", |name, meta| {
            let is_temp = name.rsplit('/').next().is_some_and(|n| n.starts_with(TEMP));
            let is_old = meta
                .modified()
                .is_ok_and(|at| at.elapsed().is_ok_and(|past| past >= age));
            if is_temp && is_old {
                let path = self.root.join(name);
                match fs::remove_file(&path) {
                    Ok(()) => removed += 1,
                    Err(e) if absent(&e) => {}
                    Err(e) => return Err(Error::io("remove", path, e)),
                }
            }
            Ok(())
        })?;
        Ok(removed)
    }

    /// Calls `each` with the name (from the root) of every file in and below a folder.
    fn walk(
        &self,
        folder: &str,
        mut each: impl FnMut(&str, &fs::Metadata) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let path = self.root.join(&folder);
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(e) if absent(&e) => continue,
                Err(e) => return Err(Error::io("list", path, e)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| Error::io("list", &path, e))?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let name = format!("{folder}{name}");
                // Not through symbolic links: they could lead anywhere, and in circles.
                let meta = match entry.metadata() {
                    Ok(meta) => meta,
                    Err(e) if absent(&e) => continue,
                    Err(e) => return Err(Error::io("look at", entry.path(), e)),
                };
                if meta.is_dir() {
                    folders.push(format!("{name}/"));
                } else if meta.is_file() {
                    each(&name, &meta)?;
                }
            }
        }
        Ok(())
    }

    fn object_path(&self, key: &Key) -> Result<PathBuf, Error> {
        match key.as_str().ends_with('/') {
            true => Err(not_an_object(key)),
            false => Ok(self.path(key)),
        }
    }

    /// A temporary file beside `path` that holds these bytes, on the disk.
    fn written(&self, path: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile, Error> {
        let folder = path.parent().unwrap_or(&self.root);
        make_folders(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(TEMP)
            // What the umask leaves of it: a store is for others to read.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(|e| Error::io("create a file in", folder, e))?;
        let write = file
            .write_all(bytes)
            .and_then(|()| file.as_file().sync_all());
        // On an error the temporary file goes with `file`.
        write.map_err(|e| Error::io("write", path, e))?;
        Ok(file)
    }

    /// Makes a rename or removal last.
    fn settle(&self, path: &Path) -> Result<(), Error> {
        sync_folder(path.parent().unwrap_or(&self.root))
    }
}

fn absent(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn not_an_object(key: &Key) -> Error {
    Error::Key {
        key: key.to_string(),
        problem: "a folder lies there, not an object",
    }
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| Error::io("sync", folder, e))
}

/// Creates the folders that are missing and makes each one last.
fn make_folders(folder: &Path) -> Result<(), Error> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|f| !f.as_os_str().is_empty() && !f.is_dir())
        .collect();
    for f in missing.into_iter().rev() {
        match fs::create_dir(f) {
            Ok(()) => {}
            // Another writer was faster.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && f.is_dir() => {}
            Err(e) => return Err(Error::io("create the folder", f, e)),
        }
        let parent = f.parent().filter(|p| !p.as_os_str().is_empty());
        sync_folder(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn store() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let place = format!("file://{}/deep/store", dir.path().display());
        let store = Folder::open(&place).unwrap();
        (dir, store)
    }

    fn keys(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|e| e.key.as_str()).collect()
    }

    #[test]
    fn an_object_is_read_as_it_was_written() {
        let (_dir, store) = store();
        let k = key("a/b/c");
        assert!(!store.root().exists());
        assert_eq!(store.get(&k, 9).unwrap(), None);
        assert_eq!(store.head(&k).unwrap(), None);
        assert_eq!(store.put_if_absent(&k, b"one").unwrap(), Put::Created);
        assert_eq!(store.put_if_absent(&k, b"two").unwrap(), Put::Existed);
        assert_eq!(store.get(&k, 9).unwrap().unwrap(), b"one");
        store.put(&k, b"three").unwrap();
        assert_eq!(store.get(&k, 9).unwrap().unwrap(), b"three");
        assert_eq!(store.head(&k).unwrap().unwrap().size, 5);
        assert!(matches!(store.get(&k, 4), Err(Error::TooLarge { .. })));
        assert!(store.delete(&k).unwrap());
        assert!(!store.delete(&k).unwrap());
        assert_eq!(store.get(&k, 9).unwrap(), None);
    }

    #[test]
    fn a_listing_is_sorted_and_shows_objects_only() {
        let (_dir, store) = store();
        assert_eq!(store.list(None).unwrap(), []);
        for k in ["b/2", "b/1", "a/x/y", "b/1x/z"] {
            store.put(&key(k), b"").unwrap();
        }
        fs::write(store.root().join(format!("b/{TEMP}x")), b"half").unwrap();
        fs::write(store.root().join("b/no key"), b"").unwrap();
        std::os::unix::fs::symlink("..", store.root().join("b/up")).unwrap();
        assert_eq!(
            keys(&store.list(None).unwrap()),
            ["a/x/y", "b/1", "b/1x/z", "b/2"]
        );
        let b = store.list(Some(&key("b/"))).unwrap();
        assert_eq!(keys(&b), ["b/1", "b/1x/z", "b/2"]);
        assert_eq!(store.list(Some(&key("none/"))).unwrap(), []);
        assert!(store.list(Some(&key("b"))).is_err());
    }

    #[test]
    fn only_old_leftovers_are_removed() {
        let (_dir, store) = store();
        store.put(&key("b/1"), b"").unwrap();
        let path = store.root().join(format!("b/{TEMP}x"));
        fs::write(&path, b"half").unwrap();
        assert_eq!(store.remove_leftovers(Duration::from_secs(60)).unwrap(), 0);
        let old = SystemTime::now() - Duration::from_secs(61);
        File::open(&path).unwrap().set_modified(old).unwrap();
        assert_eq!(store.remove_leftovers(Duration::from_secs(60)).unwrap(), 1);
        assert!(!path.exists());
        assert!(store.head(&key("b/1")).unwrap().is_some());
    }

    #[test]
    fn of_many_writers_one_writes() {
        let (_dir, store) = store();
        let k = key("a/b/c");
        let created = std::thread::scope(|s| {
            let threads: Vec<_> = (0..16u8)
                .map(|n| {
                    let (store, k) = (&store, &k);
                    s.spawn(move || store.put_if_absent(k, &vec![n; 100_000]).unwrap())
                })
                .collect();
            let done = threads.into_iter().map(|t| t.join().unwrap());
            done.filter(|put| *put == Put::Created).count()
        });
        assert_eq!(created, 1);
        let bytes = store.get(&k, 1 << 20).unwrap().unwrap();
        assert!(bytes.len() == 100_000 && bytes.iter().all(|b| *b == bytes[0]));
        assert_eq!(fs::read_dir(store.root().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn folders_and_objects_are_not_mistaken_for_each_other() {
        let (_dir, store) = store();
        store.put(&key("a/b"), b"").unwrap();
        assert!(store.get(&key("a"), 9).is_err());
        assert!(store.put(&key("a"), b"").is_err());
        assert!(store.put(&key("a/"), b"").is_err());
        assert!(store.put(&key("a/b/c"), b"").is_err());
        assert_eq!(store.get(&key("a/b/c"), 9).unwrap(), None);
    }

    #[test]
    fn places_are_checked() {
        let (dir, store) = store();
        store.put(&key("file"), b"").unwrap();
        let file = store.root().join("file");
        for bad in [
            "",
            "file://",
            "s3://bucket",
            "http://x/y",
            &file.display().to_string(),
            &format!("{}/x", file.display()),
        ] {
            assert!(Folder::open(bad).is_err(), "{bad}");
        }
        assert!(Folder::open(&dir.path().display().to_string()).is_ok());
        assert!(Folder::open("not-there").is_ok());
    }
}
