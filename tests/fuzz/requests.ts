import type { FastifyInstance } from 'fastify'
import type { Random } from '../support/random.ts'
import { mutate } from './mutate.ts'

interface Parameter {
  readonly in: string
  readonly name: string
}

/** What OpenAPI says of one route. */
interface Route {
  readonly method: string
  readonly path: string
  readonly parameters: readonly Parameter[]
}

/** Real names, so that requests get past the first check. */
export interface KnownNames {
  readonly vm: readonly string[]
  readonly snapshot: readonly string[]
  readonly disk: readonly string[]
  readonly token: string
}

const JUNK = [
  '',
  'x',
  '.',
  '..',
  '../..',
  '/etc/passwd',
  '\0',
  '%',
  '%2',
  '%2e%2e',
  'snapshot.json',
  '__proto__',
  'constructor',
  '*',
  '?',
  '#',
  ' ',
  '\t',
  'é',
  '\u202e',
  '💾',
  'a'.repeat(255),
  'a'.repeat(256),
  'b'.repeat(5000),
  '-1',
  '1e3',
  '9007199254740993',
  'true',
  'false',
  'TRUE',
  '1',
  '0',
  '[]',
  '{}',
]
const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  [
    'Range',
    [
      'bytes=0-9',
      'bytes=-5',
      'bytes=5-',
      'bytes=0-0,4-9,1-2',
      'bytes=99999999999-',
      'lines=1-2',
      'bytes=0-9,0-9,0-9',
    ],
  ],
  ['If-Range', ['"x"', 'W/"x"', 'Thu, 29 Feb 2024 12:34:56 GMT']],
  ['If-None-Match', ['*', '"x", "y"']],
  ['If-Match', ['*', '"x"']],
  ['If-Modified-Since', ['Thu, 29 Feb 2024 12:34:56 GMT', 'never']],
  ['If-Unmodified-Since', ['Thu, 29 Feb 2024 12:34:56 GMT', 'Thu, 31 Dec 1969 23:59:59 GMT']],
  ['Content-Type', ['application/json', 'text/plain; charset=x', ';;;', 'multipart/form-data; boundary=x']],
  ['Expect', ['100-continue', 'something']],
  ['Accept', ['*/*', 'image/png']],
  ['Accept-Encoding', ['gzip, br', 'identity;q=0']],
  ['Transfer-Encoding', ['chunked', 'gzip', 'chunked, chunked']],
  ['Upgrade', ['websocket', 'h2c']],
  ['X-Request-Id', ['mine']],
  ['X-Forwarded-For', ['1.2.3.4']],
  ['Origin', ['https://elsewhere.example']],
  ['Cookie', ['token=x']],
]
const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'get',
  'PROPFIND',
]

export function routesOf(app: FastifyInstance): readonly Route[] {
  const { paths = {} } = app.swagger() as {
    paths?: Record<string, Record<string, { parameters?: Parameter[] }>>
  }
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { parameters = [] }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
    })),
  )
}

/** A whole request as it goes over the wire, the last of its connection. */
export function makeRequest(routes: readonly Route[], names: KnownNames, random: Random): Buffer {
  const route = random.pick(routes)
  const value = (name: string): string => {
    const known = names[name as keyof KnownNames]
    if (Array.isArray(known) && random.chance(0.7)) return random.pick(known)
    if (name === 'compareTo' && random.chance(0.6)) return random.pick(names.snapshot)
    return random.pick(JUNK)
  }
  const encode = (text: string) =>
    random.chance(0.9) ? encodeURIComponent(text) : text.replaceAll(/[\r\n ]/g, '')
  let target = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encode(value(name)))
  const query = route.parameters.filter((parameter) => parameter.in === 'query' && random.chance(0.5))
  const pairs = query.map(({ name }) => `${name}=${encode(value(name))}`)
  if (random.chance(0.1)) pairs.push(`${random.pick(JUNK.slice(0, 12))}=${random.pick(JUNK.slice(0, 12))}`)
  if (pairs.length > 0) target += `?${pairs.join('&')}`
  const method = random.chance(0.85) ? route.method : random.pick(METHODS)
  const headers = ['Host: x', 'Connection: close']
  if (random.chance(0.9)) headers.push(`Authorization: Bearer ${names.token}`)
  for (const [name, values] of HEADERS) {
    if (random.chance(0.08))
      headers.push(`${name}: ${random.chance(0.8) ? random.pick(values) : random.pick(JUNK)}`)
  }
  const body = random.chance(0.5) ? makeBody(route.path, names, random) : ''
  if (body !== '' || random.chance(0.1)) {
    const length = random.chance(0.9) ? Buffer.byteLength(body) : random.pick([0, -1, 5, 1e9, 'x'])
    headers.push(`Content-Length: ${length}`)
  }
  const whole = Buffer.from(`${method} ${target} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`)
  return random.chance(0.2) ? mutate([whole], random) : whole
}

/** What the routes with a body take, by the end of their path; the others ignore it. */
const SOUND_BODIES: readonly (readonly [string, (names: KnownNames, random: Random) => object])[] = [
  ['/lease', (_, random) => ({ ttl: random.pick(['1s', '24h', '90m']), holder: 'fuzz' })],
  [
    '/audit',
    ({ snapshot }, random) => ({
      compareTo: random.pick(snapshot),
      ...(random.chance(0.5) && { sample: random.between(1, 100), seed: random.between(0, 100) }),
    }),
  ],
  ['', () => ({ username: 'backup', password: 'correct horse' })],
]

function makeBody(path: string, names: KnownNames, random: Random): string {
  const [, sound] = SOUND_BODIES.find(([end]) => path.endsWith(end))!
  const body = () => JSON.stringify(sound(names, random))
  const value = () => JSON.stringify(random.pick(['backup', -1, 1e300, null, true, [], {}, ...JUNK]))
  return random.pick([
    body,
    body,
    () => body().replace(/:("[^"]*"|\d+)/, () => `:${value()}`),
    () => `{${body().slice(1, -1)}, "__proto__": ${body()}, "more": ${value()}}`,
    () => '['.repeat(random.magnitude(1, 60_000)),
    () => mutate([Buffer.from(body())], random).toString('latin1'),
    () => 'x'.repeat(random.magnitude(1, 100_000)),
  ])()
}
