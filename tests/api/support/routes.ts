import type { FastifyInstance } from 'fastify'

export interface RouteName {
  readonly method: string
  /** As OpenAPI writes it: `/api/v1/vms/{vm}`. */
  readonly path: string
  readonly public: boolean
}

/** Every route that the program describes of itself, `/docs` left out. */
export function describedRoutes(app: FastifyInstance): readonly RouteName[] {
  const { paths = {} } = app.swagger() as {
    paths?: Record<string, Record<string, { security?: readonly unknown[] }>>
  }
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      public: operation.security?.length === 0,
    })),
  )
}

/** A path that reaches the route: every parameter is `x`. */
export function examplePath({ path }: RouteName): string {
  return path.replaceAll(/\{[^}]+\}/g, 'x')
}
