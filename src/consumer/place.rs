//! The folder that files are fetched into: all of them appear at once, or none.

use super::fetch::Fetched;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The link that is swapped: the files are links through it.
const DATA: &str = "..data";
/// What the names of the folders behind it begin with.
const BEHIND: &str = "..btfleet-";

/// The files could not be put in place; what was there is there still.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path:?}: {source}")]
pub struct PlaceError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Fetched {
    /// Writes `vmlinux.h`, `vmlinux.btf` and `manifest.json` into a folder, which is made if it is not there.
    /// They can be read by everybody, and change all at once: each is a link through `..data`, as Kubernetes
    /// itself does it in its volumes.
    ///
    /// # Errors
    /// The system's; or there are files of these names that are not such links. What was there before is there
    /// still, whole.
    pub fn write(&self, folder: &Path) -> Result<(), PlaceError> {
        let mut json = serde_json::to_vec_pretty(&self.record).expect("a record is always JSON");
        json.push(b'\n');
        let files: [(&str, &[u8]); 3] = [
            ("vmlinux.h", &self.header),
            ("vmlinux.btf", &self.btf),
            ("manifest.json", &json),
        ];
        put(folder, &files)
    }
}

fn at<T>(what: &'static str, path: &Path, done: io::Result<T>) -> Result<T, PlaceError> {
    done.map_err(|source| PlaceError {
        what,
        path: path.to_owned(),
        source,
    })
}

fn put(folder: &Path, files: &[(&str, &[u8])]) -> Result<(), PlaceError> {
    at("make", folder, fs::create_dir_all(folder))?;
    // One writer at a time: the second one's folder would be taken for a leftover.
    let lock = at("open", folder, File::open(folder))?;
    at("lock", folder, lock.lock())?;
    for (name, _) in files {
        ours_or_nothing(&folder.join(name), name)?;
    }
    let mut behind = tempfile::Builder::new();
    let behind = behind.prefix(BEHIND).rand_bytes(8).tempdir_in(folder);
    let behind = at("write in", folder, behind)?;
    for (name, bytes) in files {
        let path = behind.path().join(name);
        at("write", &path, fs::write(&path, bytes))?;
        let readable = Permissions::from_mode(0o644);
        at("open to all", &path, fs::set_permissions(&path, readable))?;
    }
    let readable = Permissions::from_mode(0o755);
    let opened = fs::set_permissions(behind.path(), readable);
    at("open to all", behind.path(), opened)?;
    // While `..data` is not there they lead nowhere, which is no file.
    for (name, _) in files {
        let link = folder.join(name);
        match symlink(Path::new(DATA).join(name), &link) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => at("link", &link, Err(e))?,
            _ => {}
        }
    }
    let (data, next) = (folder.join(DATA), folder.join("..data_next"));
    let _ = fs::remove_file(&next);
    let name = behind.path().file_name().unwrap_or_default();
    at("link", &next, symlink(name, &next))?;
    at("swap", &data, fs::rename(&next, &data))?;
    let kept = behind.keep();
    sweep(folder, &kept);
    Ok(())
}

/// A file there that is not a link of ours is somebody's.
fn ours_or_nothing(path: &Path, name: &str) -> Result<(), PlaceError> {
    match fs::read_link(path) {
        Ok(target) if target == Path::new(DATA).join(name) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => {
            let taken = io::Error::other("it is there already, and was not put there by fetch");
            at("replace", path, Err(taken))
        }
    }
}

/// Removes what earlier runs left behind. What cannot be removed does no harm.
fn sweep(folder: &Path, kept: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_behind = entry.file_name().to_string_lossy().starts_with(BEHIND);
        if is_behind && entry.file_name() != kept.file_name().unwrap_or_default() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_change_all_at_once_and_leave_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        for round in ["one", "two"] {
            let files: [(&str, &[u8]); 2] = [("x", round.as_bytes()), ("y", round.as_bytes())];
            put(&folder, &files).unwrap();
            for name in ["x", "y"] {
                let path = folder.join(name);
                assert_eq!(fs::read_to_string(&path).unwrap(), round);
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o644);
            }
            let behind = fs::metadata(folder.join(DATA)).unwrap();
            assert_eq!(behind.permissions().mode() & 0o777, 0o755);
            assert_eq!(names(&folder).len(), 4, "{:?}", names(&folder));
        }
    }

    #[test]
    fn somebody_elses_file_is_not_replaced_and_nothing_appears() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("y"), "mine").unwrap();
        let e = put(dir.path(), &[("x", b"1"), ("y", b"2")]).unwrap_err();
        assert!(e.to_string().contains("not put there by fetch"), "{e}");
        assert_eq!(names(dir.path()), ["y"]);
        assert_eq!(fs::read(dir.path().join("y")).unwrap(), b"mine");
    }
}
