import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { command } from '../support/command.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const unit = await readFile(new URL('../../contrib/diskferry.service', import.meta.url), 'utf8')

describe('the systemd unit', () => {
  it('is one that systemd takes without a warning', async () => {
    await using directory = await temporaryDirectory('unit')
    const file = join(directory.path, 'diskferry.service')
    // The program and its manual are looked for as well, and are not installed here.
    await writeFile(
      file,
      unit.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true').replace(/^Documentation=.*$/m, ''),
    )
    assert.equal(await command('systemd-analyze', ['verify', '--man=no', file]), '')
  })

  it('leaves the program one power of root, and says what for', () => {
    const powers = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? []
    assert.deepEqual(powers, ['CAP_DAC_OVERRIDE'])
    for (const power of powers) assert.match(unit, new RegExp(`^#   ${power}  \\w`, 'm'))
  })

  it('tells only the program to stop, so that a hook that wakes a guest can do its work', () => {
    assert.match(unit, /^KillMode=mixed$/m)
  })

  it('forbids what systemd counts as exposure, as far as the program can work without', async () => {
    const report = await command('systemd-analyze', [
      'security',
      '--offline=true',
      '--threshold=30',
      '--no-pager',
      new URL('../../contrib/diskferry.service', import.meta.url).pathname,
    ])
    assert.match(report, /Overall exposure level/)
  })
})
