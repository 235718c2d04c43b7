/** Debian packages that must be installed on this machine to boot the test machine. None of them runs a service. */
export const VM_PACKAGES: readonly string[] = ['kmod', 'qemu-system-x86', 'xz-utils']

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
  'xfsprogs',
]

/** Debian's package that depends on the newest stock kernel. */
export const KERNEL_PACKAGE = 'linux-image-amd64'
