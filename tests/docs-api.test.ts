import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { buildApp } from '../api/app.ts'
import { FakeServices } from './api/support/fake-services.ts'
import { describedRoutes } from './api/support/routes.ts'

const DOCUMENTATION = ['GET /docs', 'GET /docs/json']

/** `GET /api/v1/vms` -> the text below its heading. */
async function documentedRoutes(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(new URL('../docs/api.md', import.meta.url), 'utf8')
  const sections = text.split(/^#{1,3} /m)
  return new Map(
    sections.flatMap((section) => {
      const route = /^`([A-Z]+ \/\S*)`\n/.exec(section)?.[1]
      return route === undefined ? [] : [[route, section] as const]
    }),
  )
}

describe('docs/api.md', () => {
  let app: FastifyInstance

  before(async () => {
    const { services } = new FakeServices()
    const jwt = { secret: 'secret', timeToLiveSeconds: 60 }
    app = await buildApp({ services, jwt, logger: pino({ level: 'silent' }) })
  })
  after(() => app.close())

  it('describes each route and no other', async () => {
    const routes = describedRoutes(app).map(({ method, path }) => `${method} ${path}`)
    assert.deepEqual([...(await documentedRoutes()).keys()].sort(), [...routes, ...DOCUMENTATION].sort())
  })

  it('calls public what is, and only that', async () => {
    const documented = await documentedRoutes()
    const described = new Map(
      describedRoutes(app).map((route) => [`${route.method} ${route.path}`, route.public]),
    )
    for (const [route, text] of documented) {
      const isPublic = described.get(route) ?? DOCUMENTATION.includes(route)
      assert.equal(text.includes('*Public.*'), isPublic, route)
    }
  })

  it('names each query key of each route', async () => {
    const documented = await documentedRoutes()
    const { paths = {} } = app.swagger() as {
      paths?: Record<string, Record<string, { parameters?: { in: string; name: string }[] }>>
    }
    let keys = 0
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, { parameters = [] }] of Object.entries(operations)) {
        for (const { name } of parameters.filter((parameter) => parameter.in === 'query')) {
          keys += 1
          assert.ok(documented.get(`${method.toUpperCase()} ${path}`)?.includes(`\`${name}\``), name)
        }
      }
    }
    assert.equal(keys, 6)
  })

  it('names each field of each answer', async () => {
    const text = await readFile(new URL('../docs/api.md', import.meta.url), 'utf8')
    const { components } = app.swagger() as { components?: { schemas?: Record<string, unknown> } }
    const fields = new Set<string>()
    const collect = (schema: unknown): void => {
      if (typeof schema !== 'object' || schema === null) return
      const { properties } = schema as { properties?: Record<string, unknown> }
      for (const name of Object.keys(properties ?? {})) fields.add(name)
      for (const part of Object.values(schema)) collect(part)
    }
    collect(components?.schemas)
    assert.ok(fields.size > 40, `${fields.size} fields`)
    const missing = [...fields].filter((name) => !new RegExp(`["\`.]${name}["\`]`).test(text))
    assert.deepEqual(missing, [])
  })
})
