import assert from 'node:assert/strict'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { ApiClient, RemoteChunk, RemoteDisk, RemoteSnapshot } from './api-client.ts'

/**
 * `ancestor`: each chunk is fetched and written at its start, one after the other; unknown fields of a chunk are
 * not looked at. `new`: chunks that read as zeros are not fetched, the others several at once.
 */
export type PullAlgorithm = 'ancestor' | 'new'

export interface PullResult {
  /** Bytes of disk content that came over the wire. */
  fetchedBytes: number
  requests: number
}

const PARALLEL_REQUESTS = 4
const ZEROS = Buffer.alloc(1024 * 1024)

/**
 * Brings a local copy of an older state of a disk (or an empty file) to the state of a snapshot.
 * @param disk as answered for the snapshot, with `compareTo` when the local copy is that older snapshot
 */
export async function pullDisk(
  client: ApiClient,
  { vm_id: vmId }: RemoteSnapshot,
  disk: RemoteDisk,
  localFile: string,
  algorithm: PullAlgorithm,
): Promise<PullResult> {
  const url = `/api/v1/vms/${vmId}/snapshots/${disk.snapshot_id}/disks/${encodeURIComponent(disk.name)}`
  const result: PullResult = { fetchedBytes: 0, requests: 0 }
  await using local = await open(localFile, constants.O_RDWR | constants.O_CREAT)
  await local.truncate(await sizeOf(client, url))
  const chunks = disk.chunks[Symbol.iterator]()
  const work = async () => {
    for (const chunk of chunks) {
      if (algorithm === 'new' && chunk.zero === true) await writeZeros(local, chunk)
      else {
        const bytes = await fetchChunk(client, url, chunk, local)
        result.fetchedBytes += bytes
        result.requests += 1
      }
    }
  }
  await Promise.all(Array.from({ length: algorithm === 'new' ? PARALLEL_REQUESTS : 1 }, work))
  return result
}

async function sizeOf(client: ApiClient, url: string): Promise<number> {
  const { statusCode, headers, body } = await client.call('HEAD', url)
  await body.dump()
  assert.equal(statusCode, 200, `HEAD ${url}`)
  return Number(headers['content-length'])
}

/** @returns how many bytes came */
async function fetchChunk(
  client: ApiClient,
  url: string,
  { start, length }: RemoteChunk,
  local: FileHandle,
): Promise<number> {
  const range = `bytes=${start}-${start + length - 1}`
  const { statusCode, body } = await client.call('GET', url, { headers: { range } })
  assert.equal(statusCode, 206, `GET ${url} with ${range}`)
  let position = start
  for await (const piece of body as AsyncIterable<Buffer>) {
    await local.write(piece, 0, piece.length, position)
    position += piece.length
  }
  assert.equal(position - start, length, `${range} of ${url}`)
  return length
}

async function writeZeros(local: FileHandle, { start, length }: RemoteChunk): Promise<void> {
  for (let done = 0; done < length; done += ZEROS.length) {
    await local.write(ZEROS, 0, Math.min(ZEROS.length, length - done), start + done)
  }
}
