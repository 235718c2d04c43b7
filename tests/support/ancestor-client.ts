import assert from 'node:assert/strict'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
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

/** Where the bytes of a disk go. */
export interface DiskSink {
  write(bytes: Buffer, position: number): Promise<unknown>
}

const PARALLEL_REQUESTS = 4
const ZEROS = Buffer.alloc(1024 * 1024)

/**
 * Brings a local copy of an older state of a disk (or an empty file) to the state of a snapshot.
 * @param disk as answered for the snapshot, with `compareTo` when the local copy is that older snapshot
 */
export async function pullDisk(
  client: ApiClient,
  snapshot: RemoteSnapshot,
  disk: RemoteDisk,
  localFile: string,
  algorithm: PullAlgorithm,
): Promise<PullResult> {
  await using local = await open(localFile, constants.O_RDWR | constants.O_CREAT)
  await local.truncate(await sizeOf(client, urlOf(snapshot, disk)))
  const sink: DiskSink = { write: (bytes, position) => local.write(bytes, 0, bytes.length, position) }
  return await fetchChunks(client, snapshot, disk, algorithm, sink)
}

export async function fetchChunks(
  client: ApiClient,
  snapshot: RemoteSnapshot,
  disk: RemoteDisk,
  algorithm: PullAlgorithm,
  sink: DiskSink,
): Promise<PullResult> {
  const url = urlOf(snapshot, disk)
  const result: PullResult = { fetchedBytes: 0, requests: 0 }
  const chunks = disk.chunks[Symbol.iterator]()
  const work = async () => {
    for (const chunk of chunks) {
      if (algorithm === 'new' && chunk.zero === true) await writeZeros(sink, chunk)
      else {
        const bytes = await fetchChunk(client, url, chunk, sink)
        result.fetchedBytes += bytes
        result.requests += 1
      }
    }
  }
  await Promise.all(Array.from({ length: algorithm === 'new' ? PARALLEL_REQUESTS : 1 }, work))
  return result
}

function urlOf({ vm_id: vmId }: RemoteSnapshot, { snapshot_id: id, name }: RemoteDisk): string {
  return `/api/v1/vms/${vmId}/snapshots/${id}/disks/${encodeURIComponent(name)}`
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
  sink: DiskSink,
): Promise<number> {
  const range = `bytes=${start}-${start + length - 1}`
  const { statusCode, body } = await client.call('GET', url, { headers: { range } })
  assert.equal(statusCode, 206, `GET ${url} with ${range}`)
  let position = start
  for await (const piece of body as AsyncIterable<Buffer>) {
    await sink.write(piece, position)
    position += piece.length
  }
  assert.equal(position - start, length, `${range} of ${url}`)
  return length
}

async function writeZeros(sink: DiskSink, { start, length }: RemoteChunk): Promise<void> {
  for (let done = 0; done < length; done += ZEROS.length) {
    await sink.write(ZEROS.subarray(0, length - done), start + done)
  }
}
