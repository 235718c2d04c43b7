import { basename } from 'node:path'
import type { MachineFiles } from './machine-files.ts'

export interface QemuOptions {
  readonly files: MachineFiles
  readonly memoryBytes: number
  readonly processors: number
  /** Descriptors that QEMU inherits: connected sockets for the ports, one file a disk. */
  readonly ports: readonly number[]
  readonly disks: readonly number[]
  readonly fastDisks: readonly FastDisk[]
  readonly network: boolean
  readonly writableDirectory: string | undefined
  readonly kernelMessages: boolean
}

/** Bytes; QEMU places memory devices at multiples of it at most. */
const ALIGNMENT = 1024 ** 3

export interface FastDisk {
  readonly descriptor: number
  readonly bytes: number
}

/**
 * Everything that QEMU can emulate, but for what makes emulation slow: `rep movsb`, which is done byte by byte and with
 * `erms` copies and clears all memory, page tables of five levels, and protection keys and SMAP, which cost something at
 * each system call. A conformance suite took 50 s with and 35 s without them. The `crc32` of SSE 4.2, which btrfs takes for
 * all that it stores, is done bit by bit.
 */
const PROCESSOR = 'max,-erms,-la57,-smap,-pku,-sse4.2'

/**
 * X86_FEATURE_REP_GOOD of the kernel's cpufeatures.h, 3 * 32 + 16: without it memory is copied and cleared by loops that an
 * emulator translates well, with it by `rep movsq` and `rep stosq`. Reading by NFS and SMB gains a tenth.
 */
const REP_GOOD = 112

/** What takes time under emulation and proves nothing here, and: end the machine when the kernel gives up. */
const KERNEL_PARAMETERS =
  'console=ttyS0 8250.nr_uarts=1 panic=-1 oops=panic cryptomgr.notests mitigations=off nokaslr audit=0 ' +
  'apparmor=0 nowatchdog random.trust_cpu=on rcupdate.rcu_expedited=1 ' +
  `clearcpuid=${REP_GOOD}`

/** The command line of QEMU: emulated processors, no firmware, Debian's stock kernel. */
export function qemuArguments(options: QemuOptions): readonly string[] {
  const { files, ports, disks, fastDisks, network, writableDirectory } = options
  const log = options.kernelMessages ? 'loglevel=7' : 'quiet'
  return [
    ...['-machine', `q35,nvdimm=${fastDisks.length > 0 ? 'on' : 'off'}`],
    ...['-accel', 'tcg', '-cpu', PROCESSOR, '-smp', String(options.processors)],
    ...['-m', memory(options)],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
    ...['-kernel', files.kernel, '-initrd', files.initramfs],
    ...[
      '-append',
      `${KERNEL_PARAMETERS} ${log} machine_layers=${files.layers.map((path) => basename(path)).join(':')}`,
    ],
    ...share('host', '/', true),
    ...share('cache', files.cache, true),
    ...(writableDirectory === undefined ? [] : share('writable', writableDirectory, false)),
    ...['-device', 'virtio-serial-pci,id=ports'],
    ...ports.flatMap((descriptor, index) => port(index + 1, descriptor)),
    ...disks.flatMap((descriptor, index) => disk(index, descriptor)),
    ...fastDisks.flatMap((image, index) => fastDisk(index, image)),
    ...(network ? ['-nic', 'user,model=virtio-net-pci'] : ['-nic', 'none']),
  ]
}

function share(tag: string, path: string, readOnly: boolean): readonly string[] {
  // QEMU ends a value at a single comma.
  const escaped = path.replaceAll(',', ',,')
  const mode = readOnly ? 'readonly=on' : 'readonly=off'
  return ['-virtfs', `local,path=${escaped},mount_tag=${tag},security_model=none,${mode},multidevs=remap`]
}

function port(number: number, descriptor: number): readonly string[] {
  return [
    ...['-chardev', `socket,id=port${number},fd=${descriptor}`],
    ...['-device', `virtserialport,bus=ports.0,nr=${number},chardev=port${number},name=port${number}`],
  ]
}

/** Nothing is flushed to this machine's disk: the images do not outlive the machine. */
function disk(index: number, descriptor: number): readonly string[] {
  const file = `driver=file,filename=/dev/fdset/${index},locking=off`.replaceAll(/(^|,)/g, '$1file.')
  return [
    ...['-add-fd', `fd=${descriptor},set=${index}`],
    ...['-blockdev', `driver=raw,node-name=disk${index},discard=unmap,cache.no-flush=on,${file}`],
    ...['-device', `virtio-blk-pci,drive=disk${index},serial=disk${index}`],
  ]
}

/** Non-volatile memory: 4 KiB take 10 us, and 250 us on a disk, whose requests leave the emulated processor. */
function fastDisk(index: number, { descriptor, bytes }: FastDisk): readonly string[] {
  const file = `mem-path=/proc/self/fd/${descriptor},size=${bytes},share=on`
  return [
    ...['-object', `memory-backend-file,id=memory${index},${file}`],
    ...['-device', `nvdimm,memdev=memory${index}`],
  ]
}

/** With room for the disks that are memory, and for aligning each. */
function memory({ memoryBytes, fastDisks }: QemuOptions): string {
  const size = `size=${mebibytes(memoryBytes)}`
  if (fastDisks.length === 0) return size
  const most = fastDisks.reduce((sum, { bytes }) => sum + bytes + ALIGNMENT, memoryBytes)
  return `${size},slots=${fastDisks.length},maxmem=${mebibytes(most)}`
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 / 1024)}M`
}
