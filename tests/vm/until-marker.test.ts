import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../support/random.ts'
import { LineClosed } from './uml.ts'
import { untilMarker } from './until-marker.ts'

const MARKER = Buffer.from('\x1eabab')

async function* chunks(...texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text)
}

async function collect(source: AsyncIterable<Buffer>): Promise<string[]> {
  const texts: string[] = []
  for await (const chunk of source) texts.push(chunk.toString())
  return texts
}

test('the output ends at the marker, wherever its bytes are torn apart', async () => {
  const whole = `one\x1eaba two${MARKER}three`
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = new Random(seed)
    const pieces: string[] = []
    for (let at = 0; at < whole.length; ) {
      const end = at + random.between(1, 6)
      pieces.push(whole.slice(at, end))
      at = end
    }
    const output = (await collect(untilMarker(chunks(...pieces), MARKER))).join('')
    assert.equal(output, 'one\x1eaba two', `seed ${seed}: ${JSON.stringify(pieces)}`)
  }
})

test('what cannot be the beginning of the marker is passed on at once', async () => {
  const output = untilMarker(chunks('one', `two${MARKER.subarray(0, 2)}`, 'three', `${MARKER}`), MARKER)
  assert.deepEqual(await collect(output), ['one', 'two', '\x1eathree'])
})

test('an output that ends without the marker is an error', async () => {
  await assert.rejects(collect(untilMarker(chunks('one', '\x1eaba'), MARKER)), LineClosed)
})
