import type { FastifyPluginAsync } from 'fastify'
import type { VirtualMachines } from '../../core/services.ts'
import { type VmParams, vmParams } from '../schemas/params.ts'
import { errorResponses } from '../schemas/responses.ts'
import { vmJson } from '../vm-json.ts'

export interface VmRoutesOptions {
  readonly virtualMachines: VirtualMachines
}

export const vmRoutes: FastifyPluginAsync<VmRoutesOptions> = async (app, { virtualMachines }) => {
  app.get(
    '/vms',
    {
      schema: {
        operationId: 'listVms',
        summary: 'Every VM that the inventory knows',
        response: { 200: { type: 'array', items: { $ref: 'Vm#' } }, ...errorResponses },
      },
    },
    async (request) => (await virtualMachines.list(request.clientSignal)).map(vmJson),
  )

  app.get<{ Params: VmParams }>(
    '/vms/:vm',
    {
      schema: {
        operationId: 'getVm',
        summary: 'One VM',
        params: vmParams,
        response: { 200: { $ref: 'Vm#' }, ...errorResponses },
      },
    },
    async (request) => vmJson(await virtualMachines.get(request.params.vm, request.clientSignal)),
  )
}
