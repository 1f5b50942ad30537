//! What a program has started, and what of it is left. Linux tells of it in `/proc`.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// A process, which another with the same id is not mistaken for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Process {
    id: u32,
    name: String,
    parent: u32,
    started: String,
}

impl Process {
    /// None if it has ended. [proc(5), "/proc/pid/stat"]
    fn of(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (before, after) = stat.rsplit_once(')')?;
        let fields: Vec<_> = after.split_whitespace().collect();
        let (_, name) = before.split_once('(')?;
        let this = Self {
            id,
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            started: (*fields.get(19)?).to_owned(),
        };
        (fields.first() != Some(&"Z")).then_some(this)
    }

    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::of(entry.file_name().to_str()?.parse().ok()?)).collect()
    }
}

/// The processes below a program, and the shared memory that they made.
#[derive(Debug)]
pub(crate) struct Traces {
    processes: Vec<Process>,
    segments: HashSet<String>,
    files: HashSet<String>,
}

impl Traces {
    pub(crate) fn of(program: u32) -> Self {
        let all = Process::all();
        let mut processes: Vec<Process> = Vec::new();
        let mut ids = vec![program];
        while let Some(id) = ids.pop() {
            let children: Vec<_> = all.iter().filter(|process| process.parent == id).cloned().collect();
            ids.extend(children.iter().map(|process| process.id));
            processes.extend(children);
        }
        let maps = processes.iter().filter_map(|process| fs::read_to_string(format!("/proc/{}/maps", process.id)).ok());
        let files = maps.flat_map(|maps| {
            let paths = maps.lines().filter_map(|line| line.split_once("/dev/shm/").map(|(_, name)| name.to_owned()));
            paths.collect::<Vec<_>>()
        });
        let files = files.collect();
        let made = |creator: &str| processes.iter().any(|process| process.id.to_string() == creator);
        let segments = segments().into_iter().filter(|(_, creator)| made(creator)).map(|(id, _)| id).collect();
        Self { processes, segments, files }
    }

    /// Whether a process of this name is among them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.processes.iter().any(|process| process.name == name)
    }

    /// How many pieces of shared memory there are.
    pub(crate) fn memory(&self) -> usize {
        self.segments.len() + self.files.len()
    }

    /// Waits until nothing is left, nor in the folder for temporary files.
    pub(crate) fn assert_gone(&self, temporary: &Path) {
        let files = || fs::read_dir(temporary).expect("a folder").flatten().map(|e| e.path().display().to_string());
        let mut left = Vec::new();
        for _ in 0..300 {
            left = self.left();
            left.extend(files());
            if left.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("left: {left:?}");
    }

    /// What is still there.
    fn left(&self) -> Vec<String> {
        let processes = self
            .processes
            .iter()
            .filter(|process| Process::of(process.id).as_ref().is_some_and(|now| now.started == process.started));
        let files =
            self.files.iter().map(|name| format!("/dev/shm/{name}")).filter(|path| fs::exists(path).unwrap_or(true));
        let segments = segments().into_iter().filter(|(id, _)| self.segments.contains(id));
        processes
            .map(|process| format!("process {} {}", process.id, process.name))
            .chain(files)
            .chain(segments.map(|(id, _)| format!("shared memory {id}")))
            .collect()
    }
}

/// The ids of System V's shared memory segments, with the process that made each. [sysvipc(7)]
fn segments() -> Vec<(String, String)> {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    rows.filter_map(|row| Some((row.get(1)?.clone(), row.get(4)?.clone()))).collect()
}

/// A folder of the test for the temporary files of a program. Root's PostgreSQL runs as nobody, who has to get through.
pub(crate) fn passable(folder: &redshift_data_local::process::Folder) -> &Path {
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("its owner");
    folder.path()
}
