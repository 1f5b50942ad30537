//! `target/local/env`: the exports of the stack that runs. It holds the keys, so that it is its user's alone; it is locked for as
//! long as the stack runs, so that no other stack takes it; and it goes with the stack.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use loader::{Error, Result};

/// Two stacks that start at once may take a file from each other so often.
const TRIES: usize = 100;

/// The file of a stack that runs. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct EnvFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    lock: File,
}

impl EnvFile {
    /// Writes `env` in a folder, or `env-<port>` if another stack that runs has the first. What a dead stack left is replaced.
    ///
    /// # Errors
    /// If neither can be written.
    pub(crate) fn write(folder: &Path, port: u16, exports: &str) -> Result<Self> {
        let failed = |e| Error::doing(&format!("write {}/env", folder.display()), e);
        std::fs::create_dir_all(folder).map_err(failed)?;
        for name in ["env".to_owned(), format!("env-{port}")] {
            let path = folder.join(name);
            if let Some(mut file) = take(&path).map_err(failed)? {
                file.write_all(exports.as_bytes()).map_err(failed)?;
                return Ok(Self { path, lock: file });
            }
        }
        Err(Error::new(format!("{0}/env and {0}/env-{port} belong to stacks that run: stop one", folder.display())))
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        if is_at(&self.lock, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes a file that only its user may read, and locks it; none if a stack that runs has it.
fn take(path: &Path) -> std::io::Result<Option<File>> {
    for _ in 0..TRIES {
        match File::options().write(true).create_new(true).mode(0o600).open(path) {
            // Unless another one locked it first, as a file that was left.
            Ok(file) if file.try_lock().is_ok() && is_at(&file, path) => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match File::open(path) {
                Ok(left) => match left.try_lock() {
                    Ok(()) if is_at(&left, path) => std::fs::remove_file(path)?,
                    Ok(()) => {}
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(error)) => return Err(error),
                },
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: std::io::Result<std::fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
    id(file.metadata()) == id(std::fs::symlink_metadata(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use redshift_data_local::process::Folder;

    use super::*;

    #[test]
    fn a_stack_keeps_its_file_and_what_a_dead_one_left_is_replaced() {
        let dir = Folder::new().expect("a folder");
        let (folder, env) = (dir.path().join("local"), dir.path().join("local/env"));
        let read = |path: &Path| {
            let mode = path.metadata().expect("a file").permissions().mode() & 0o777;
            (mode, std::fs::read_to_string(path).expect("text"))
        };
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(&env, "of a dead stack, and long").expect("a file");
        std::fs::set_permissions(&env, PermissionsExt::from_mode(0o644)).expect("a mode");
        let first = EnvFile::write(&folder, 1, "first").expect("the file");
        let second = EnvFile::write(&folder, 2, "second").expect("a file of its own");
        assert_eq!((&first.path, &second.path), (&env, &folder.join("env-2")));
        assert_eq!(
            (read(&first.path), read(&second.path)),
            ((0o600, "first".to_owned()), (0o600, "second".to_owned()))
        );
        let none = EnvFile::write(&folder, 2, "third").expect_err("both are taken").to_string();
        assert!(none.contains("env-2") && none.contains("stop one"), "{none}");
        drop(first);
        assert!(!env.exists() && folder.join("env-2").exists());
        let first = EnvFile::write(&folder, 3, "third").expect("the file");
        assert_eq!((&first.path, read(&env)), (&env, (0o600, "third".to_owned())));
        // What is not its own any more stays.
        std::fs::remove_file(&env).expect("removed");
        std::fs::write(&env, "of somebody else").expect("a file");
        drop(first);
        assert!(env.exists());
    }
}
