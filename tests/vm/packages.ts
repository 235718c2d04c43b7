/** Debian packages that must be installed on this machine to boot the test machine. */
export const VM_PACKAGES: readonly string[] = ['kmod', 'util-linux']

/**
 * What the test machine has beside this machine's own programs. They are unpacked into the cache folder and
 * never installed: installing the servers would start them here.
 */
export const INSIDE_PACKAGES: readonly string[] = [
  'btrfs-progs',
  'busybox-static',
  'cifs-utils',
  'dmsetup',
  'e2fsprogs',
  'nfs-kernel-server',
  'ocfs2-tools',
  'samba',
  'samba-vfs-modules',
  'slirp',
  'xfsprogs',
]

/** The stock kernel, built to run as a process. It is unpacked like those. */
export const KERNEL_PACKAGE = 'user-mode-linux'
