import { Command } from 'commander'
import type { AuditArguments } from './audit.ts'
import type { ConformanceArguments } from './conformance.ts'
import { VERSION } from './version.ts'

/** The ancestor's file, so that an upgrade needs no change to a unit or a script. */
export const DEFAULT_CONFIG_FILE = '/etc/coriolis-ovm-exporter/config.toml'

/** The command line. Each command's work is in a file of its own, which is loaded when it is asked for. */
export function createProgram(): Command {
  const program = new Command('diskferry')
    .description('Full and incremental exports of virtual machine disks from a hypervisor host')
    .version(VERSION)
    .showHelpAfterError()

  program
    .command('serve')
    .description('serve the REST API until SIGTERM')
    .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_FILE)
    .action(async ({ config }: { config: string }) => {
      const { serve } = await import('./serve.ts')
      await serve(config)
    })

  program
    .command('hash-password')
    .description('read a password and print the line for auth.users')
    .action(async () => {
      const { hashPassword } = await import('./hash-password.ts')
      await hashPassword(process.stdin, process.stdout)
    })

  program
    .command('forget-manager')
    .description('forget the pinned certificate of the OVM manager, after it was changed on purpose')
    .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_FILE)
    .action(async ({ config }: { config: string }) => {
      const { forgetManager } = await import('./forget-manager.ts')
      await forgetManager(config, process.stdout)
    })

  program
    .command('audit')
    .description('compare by content what the difference between two snapshots does not report')
    .argument('<vm>', "the VM's id")
    .argument('<snapshot>', 'id of the newer snapshot')
    .requiredOption('--compare-to <snapshot>', 'id of the older snapshot')
    .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_FILE)
    .option('--sample <blocks>', 'read about so many blocks of 4 KiB instead of all')
    .option('--seed <number>', 'pick the same blocks again')
    .option('--rate <bytes>', 'bytes a second, instead of audit.rate')
    .option('--json', 'a report for programs')
    .addHelpText(
      'after',
      '\nExit codes: 0 passed, 3 the difference is wrong, 1 no verdict, 2 wrong arguments.',
    )
    .action(async (vm: string, snapshot: string, args: AuditArguments) => {
      const { audit } = await import('./audit.ts')
      process.exitCode = await audit(vm, snapshot, args)
    })

  program
    .command('doctor')
    .description('check the configuration, database, repositories and snapshots; exit code 1 for a problem')
    .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_FILE)
    .option('--json', 'a report for programs')
    .action(async ({ config, json = false }: { config: string; json?: boolean }) => {
      const { doctor } = await import('./doctor/doctor.ts')
      process.exitCode = await doctor(config, { json }, process.stdout)
    })

  const orphans = program
    .command('orphans')
    .description("folders of snapshots that the database does not have, of this program or the exporter's")
  orphans
    .command('list')
    .description('show them')
    .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_FILE)
    .option('--json', 'a report for programs')
    .action(async ({ config, json = false }: { config: string; json?: boolean }) => {
      const { listOrphans } = await import('./orphans.ts')
      await listOrphans(config, { json }, process.stdout)
    })
  orphans
    .command('adopt')
    .description('take whole ones into the database')
    .argument('<id...>', 'as `orphans list` shows them')
    .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_FILE)
    .option('--vm <name>', 'the VM of a snapshot that does not say whose it is')
    .action(async (ids: readonly string[], { config, vm }: { config: string; vm?: string }) => {
      const { adoptOrphans } = await import('./orphans.ts')
      await adoptOrphans(config, ids, vm, process.stdout)
    })
  orphans
    .command('remove')
    .description('remove their files for good')
    .argument('<id...>', 'as `orphans list` shows them')
    .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_FILE)
    .option('--force', 'also those that a client has leased')
    .action(
      async (ids: readonly string[], { config, force = false }: { config: string; force?: boolean }) => {
        const { removeOrphans } = await import('./orphans.ts')
        await removeOrphans(config, ids, { force }, process.stdout)
      },
    )

  program
    .command('conformance')
    .description('prove a storage backend on a real filesystem')
    .requiredOption('-b, --backend <module>', 'a name such as xfs, a package, or a path')
    .requiredOption('-d, --directory <folder>', 'a writable folder on the filesystem')
    .option('--options <json>', "handed to the backend's factory")
    .option('--only <pattern>', 'only checks whose name matches the regular expression')
    .option('--seeds <list>', 'random histories: 7, 1-20, 3,9,20-30')
    .option('--replay <file>', 'play a history again, as a failure printed it')
    .option('--extents <number>', 'of the fragmented disk')
    .option('--full-disk-mib <number>', 'size of the disk whose clone must not take up space')
    .option('--elsewhere <folder>', 'a writable folder on a filesystem without reflinks')
    .option('--time-limit <seconds>', 'for one check')
    .option('--json', 'a report for programs')
    .action(async (args: ConformanceArguments) => {
      const { conformance } = await import('./conformance.ts')
      process.exitCode = await conformance(args)
    })

  program
    .command('demo')
    .description('show a full and an incremental export on a real filesystem, then clean up')
    .option('--keep', 'leave the server up until Ctrl-C and print how to talk to it')
    .option('--directory <folder>', 'use a folder on an existing reflink filesystem; needs no root')
    .action(async (options: { keep?: true; directory?: string }) => {
      const { demo } = await import('./demo/demo.ts')
      await demo(options)
    })

  return program
}
