/** Run by hand after a change of the schema: `npx tsx config/update-generated.ts`. A test finds a forgotten run. */

import { readFile, writeFile } from 'node:fs/promises'
import { renderExample } from './render-example.ts'
import { renderReference } from './render-reference.ts'

const manual = new URL('../docs/configuration.md', import.meta.url)

await writeFile(new URL('diskferry.example.toml', import.meta.url), renderExample())
await writeFile(manual, renderReference(await readFile(manual, 'utf8')))
