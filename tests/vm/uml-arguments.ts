export interface UmlOptions {
  readonly memoryBytes: number
  /** Descriptors that the kernel inherits: sockets, each of which is a serial line, one file a disk. */
  readonly lines: readonly number[]
  readonly disks: readonly number[]
  /** The same for disks that other machines write to at the same time; they come first. */
  readonly sharedDisks: readonly number[]
  /** One end of a `Cable`, if there is one. */
  readonly cable: number | undefined
  /** Is there a program that takes the machine's packets? */
  readonly network: boolean
  readonly kernelMessages: boolean
}

/** End the machine when the kernel gives up, and give up when something in it did. */
const KERNEL_PARAMETERS = ['panic=-1', 'oops=panic', 'audit=0', 'nowatchdog', 'rcupdate.rcu_expedited=1']

/** Where `boot/enter` puts what the kernel needs. */
const DIRECTORY = '/run'

/** The arguments of Debian's kernel in user mode: https://docs.kernel.org/virt/uml/user_mode_linux_howto_v2.html */
export function umlArguments({
  memoryBytes,
  lines,
  disks,
  sharedDisks,
  cable,
  network,
  kernelMessages,
}: UmlOptions): readonly string[] {
  return [
    `mem=${Math.floor(memoryBytes / 1024 / 1024)}M`,
    ...['rootfstype=hostfs', 'rootflags=/', 'ro', `init=${DIRECTORY}/init`],
    ...[`uml_dir=${DIRECTORY}`, 'umid=machine'],
    ...['con=null', 'con0=null,fd:1', 'ssl=null'],
    ...lines.map((descriptor, index) => `ssl${index}=fd:${descriptor}`),
    // Without TRIM, which goes to the file in steps so small that mkfs takes ten seconds for an empty disk.
    // A shared one without the lock that keeps other machines away.
    ...[...sharedDisks, ...disks].map(
      (descriptor, index) =>
        `${diskName(index)}${index < sharedDisks.length ? 'ct' : 't'}=/proc/self/fd/${descriptor}`,
    ),
    ...(cable === undefined ? [] : [`vec0:transport=fd,fd=${cable}`]),
    ...(network ? [`eth0=slirp,,${DIRECTORY}/slirp`] : []),
    ...KERNEL_PARAMETERS,
    kernelMessages ? 'loglevel=7' : 'quiet',
  ]
}

/** `ubda` for 0. */
export function diskName(index: number): string {
  return `ubd${String.fromCharCode('a'.charCodeAt(0) + index)}`
}
