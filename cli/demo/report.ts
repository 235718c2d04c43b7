import type { ChunkJson } from './demo-client.ts'
import { formatBytes } from './format-bytes.ts'
import type { DiskResult } from './main-job.ts'

const PICTURE_COLUMNS = 72

interface TextOutput {
  write(text: string): unknown
}

/** The table of numbers and, for each disk, a picture of what the incremental pull was about. */
export function printReport(out: TextOutput, disks: readonly DiskResult[]): void {
  const rows = [
    ['disk', 'size', 'allocated', 'fetched full', 'fetched incremental', 'zeroed', 'full', 'incremental'],
    ...disks.map((disk) => [
      disk.name,
      formatBytes(disk.size),
      formatBytes(sum(disk.allocated)),
      formatBytes(disk.full.fetchedBytes),
      formatBytes(disk.incremental.fetchedBytes),
      formatBytes(disk.incremental.zeroBytes),
      `${disk.full.seconds.toFixed(2)} s`,
      `${disk.incremental.seconds.toFixed(2)} s`,
    ]),
  ]
  out.write(`\n${alignColumns(rows)}\n`)
  out.write('\nwhat changed between the snapshots\n')
  const width = Math.max(...disks.map((disk) => disk.name.length))
  for (const disk of disks) out.write(`${disk.name.padEnd(width)} |${picture(disk)}|\n`)
  out.write('# fetched  + partly fetched  0 zeroed  o partly zeroed  = unchanged  . hole\n')
  out.write('\nEvery byte of the incremental copies equals the snapshot.\n')
}

/** One character for an equal part of the disk, by what is most remarkable about it. */
export function picture({
  size,
  allocated,
  changed,
}: Pick<DiskResult, 'size' | 'allocated' | 'changed'>): string {
  const cell = size / PICTURE_COLUMNS
  const fetched = bytesByCell(
    changed.filter((chunk) => chunk.zero !== true),
    cell,
  )
  const zeroed = bytesByCell(
    changed.filter((chunk) => chunk.zero === true),
    cell,
  )
  const held = bytesByCell(allocated, cell)
  return Array.from({ length: PICTURE_COLUMNS }, (_, index) => {
    if (fetched[index]! > cell / 2) return '#'
    if (zeroed[index]! > cell / 2) return '0'
    if (fetched[index]! > 0) return '+'
    if (zeroed[index]! > 0) return 'o'
    return held[index]! > 0 ? '=' : '.'
  }).join('')
}

function bytesByCell(chunks: readonly ChunkJson[], cell: number): readonly number[] {
  const cells = new Array<number>(PICTURE_COLUMNS).fill(0)
  for (const { start, length } of chunks) {
    const end = start + length
    for (let index = Math.floor(start / cell); index < PICTURE_COLUMNS && index * cell < end; index++) {
      cells[index]! += Math.min(end, (index + 1) * cell) - Math.max(start, index * cell)
    }
  }
  return cells
}

function sum(chunks: readonly ChunkJson[]): number {
  return chunks.reduce((bytes, chunk) => bytes + chunk.length, 0)
}

function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join('  '),
    )
    .join('\n')
}
