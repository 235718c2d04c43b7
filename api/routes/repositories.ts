import type { FastifyPluginAsync } from 'fastify'
import type { Repositories } from '../../core/services.ts'
import { backendJson, repositoryJson } from '../repository-json.ts'
import { errorResponses } from '../schemas/responses.ts'

export interface RepositoryRoutesOptions {
  readonly repositories: Repositories
}

export const repositoryRoutes: FastifyPluginAsync<RepositoryRoutesOptions> = async (
  app,
  { repositories },
) => {
  app.get(
    '/repositories',
    {
      schema: {
        operationId: 'listRepositories',
        summary: 'Every repository, its backend, and why it cannot be used',
        response: { 200: { type: 'array', items: { $ref: 'Repository#' } }, ...errorResponses },
      },
    },
    async (request) => (await repositories.list(request.clientSignal)).map(repositoryJson),
  )

  app.get(
    '/backends',
    {
      schema: {
        operationId: 'listBackends',
        summary: 'Every storage backend that is loaded',
        response: { 200: { type: 'array', items: { $ref: 'Backend#' } }, ...errorResponses },
      },
    },
    async () => repositories.backends().map(backendJson),
  )
}
