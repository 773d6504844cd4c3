//! What the machine says of itself: whether this is a container, and on which mount a directory is.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What was found when the doctor began. A test brings its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether this process is in a container.
    pub in_container: bool,
    /// `/proc/self/mountinfo`; empty where the system has none.
    pub mountinfo: String,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: PathBuf,
    pub(super) kind: String,
}

impl Mount {
    /// Whether it goes with the container: its own layers, or memory. `None` where that cannot be seen: not every
    /// container's own file system is made of layers.
    pub(super) fn is_fleeting(&self) -> Option<bool> {
        match self.kind.as_str() {
            "overlay" | "aufs" | "fuse.fuse-overlayfs" | "tmpfs" | "ramfs" => Some(true),
            _ if self.point == Path::new("/") => None,
            _ => Some(false),
        }
    }
}

impl Surroundings {
    /// Of this machine.
    pub fn of_this_machine() -> Self {
        let marked = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
        let cgroup = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
        Self {
            in_container: marked || names_a_container(&cgroup),
            mountinfo: fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        }
    }

    /// The mount that `path` is on, where the system says. `path` is absolute and without links.
    pub(super) fn mount_of(&self, path: &Path) -> Option<Mount> {
        let mounts = self.mountinfo.lines().filter_map(mount);
        // Of several mounts on one point the last one is seen.
        mounts.filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.components().count())
    }
}

fn names_a_container(cgroup: &str) -> bool {
    ["docker", "kubepods", "containerd", "libpod", "/lxc/"].iter().any(|name| cgroup.contains(name))
}

/// `36 35 98:0 /root /point options... - kind source options` (proc(5)).
fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let point = before.split(' ').nth(4)?;
    let kind = after.split(' ').next()?;
    Some(Mount { point: PathBuf::from(unescaped(point)), kind: kind.to_owned() })
}

/// The kernel writes a space as `\040`.
fn unescaped(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: &str = "\
        621 523 0:52 / / rw,relatime master:224 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A\n\
        622 621 0:55 / /proc rw,nosuid - proc proc rw\n\
        629 621 8:1 /var/lib/docker/volumes/qimate/_data /data rw,relatime - ext4 /dev/sda1 rw\n\
        630 621 0:60 / /my\\040data rw - ext4 /dev/sdb rw\n\
        631 621 0:61 / /run rw - tmpfs tmpfs rw\n";

    #[test]
    fn the_mount_of_a_directory_is_the_deepest_above_it() {
        let docker = Surroundings { in_container: true, mountinfo: DOCKER.to_owned() };
        let fleeting = |path: &str| docker.mount_of(Path::new(path)).and_then(|mount| mount.is_fleeting());
        assert_eq!(fleeting("/data"), Some(false));
        assert_eq!(fleeting("/data/qimate"), Some(false));
        assert_eq!(fleeting("/database"), Some(true));
        assert_eq!(fleeting("/my data/x"), Some(false));
        assert_eq!(fleeting("/run/qimate"), Some(true));
        assert_eq!(Surroundings::default().mount_of(Path::new("/")), None);
    }

    #[test]
    fn a_container_is_known_by_its_cgroup() {
        assert!(names_a_container("12:pids:/docker/0123\n"));
        assert!(names_a_container("0::/kubepods/besteffort/pod1\n"));
        assert!(!names_a_container("0::/init.scope\n"));
    }
}
