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
  out.write('\nwhat changed between the snapshots:  # fetched  0 zeroed  = unchanged data  . hole\n')
  const width = Math.max(...disks.map((disk) => disk.name.length))
  for (const disk of disks) out.write(`${disk.name.padEnd(width)} |${picture(disk)}|\n`)
  out.write('\nEvery byte of the incremental copies equals the snapshot.\n')
}

/** One character for an equal part of the disk; what changed wins over what did not. */
export function picture({
  size,
  allocated,
  changed,
}: Pick<DiskResult, 'size' | 'allocated' | 'changed'>): string {
  const cells = new Array<string>(PICTURE_COLUMNS).fill('.')
  const paint = (chunks: readonly ChunkJson[], mark: string) => {
    for (const { start, length } of chunks) {
      const first = Math.floor((start / size) * PICTURE_COLUMNS)
      const last = Math.floor(((start + length - 1) / size) * PICTURE_COLUMNS)
      cells.fill(mark, first, last + 1)
    }
  }
  paint(allocated, '=')
  paint(
    changed.filter((chunk) => chunk.zero === true),
    '0',
  )
  paint(
    changed.filter((chunk) => chunk.zero !== true),
    '#',
  )
  return cells.join('')
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
