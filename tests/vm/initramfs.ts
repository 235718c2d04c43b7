import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { command } from '../support/command.ts'
import type { KernelLayer } from './kernel-layer.ts'
import { makeOnce } from './machine-cache.ts'

const SCRIPTS = fileURLToPath(new URL('boot', import.meta.url))
const FOLDERS = ['modules', 'dev', 'proc', 'sys', 'host', 'cache', 'changes', 'root']

/** What it takes to reach root, ports and disks. Any other module is loaded by modprobe when the root is there. */
const MODULES = ['virtio_pci', 'virtio_console', 'virtio_blk', '9pnet_virtio', '9p', 'overlay']

/** The initramfs of a kernel: busybox, the modules in the order in which they load, and the scripts in `boot/`. */
export async function initramfs(cache: string, kernel: KernelLayer, busybox: string): Promise<string> {
  const scripts = (await readdir(SCRIPTS)).sort().map((name) => join(SCRIPTS, name))
  const hash = createHash('sha256').update(JSON.stringify([kernel.version, MODULES, FOLDERS]))
  for (const file of [busybox, ...scripts]) hash.update(await readFile(file))
  const name = `initramfs-${hash.digest('hex').slice(0, 16)}`
  const directory = await makeOnce(cache, 'initramfs', name, async (unfinished) => {
    const tree = join(unfinished, 'tree')
    for (const folder of FOLDERS) await mkdir(join(tree, folder), { recursive: true })
    for (const file of [busybox, ...scripts]) await copyFile(file, join(tree, basename(file)))
    await chmod(join(tree, 'init'), 0o755)
    for (const [index, file] of (await moduleFiles(kernel)).entries()) {
      await copyFile(file, join(tree, 'modules', `${String(index).padStart(2, '0')}-${basename(file)}`))
    }
    const pack = 'cd "$1" && find . | "$2" cpio -o -H newc > "$3"'
    await command('sh', ['-c', pack, 'pack', tree, busybox, join(unfinished, 'initramfs')])
  })
  return join(directory, 'initramfs')
}

/** Each after those that it needs. */
async function moduleFiles({ version, directory }: KernelLayer): Promise<readonly string[]> {
  const files: string[] = []
  for (const module of MODULES) {
    const options = ['--dirname', directory, '--set-version', version, '--show-depends', module]
    const order = await command('/usr/sbin/modprobe', options)
    files.push(...[...order.matchAll(/^insmod (\S+)/gm)].map(([, file]) => file!))
  }
  return [...new Set(files)]
}
