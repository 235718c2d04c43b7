import { DiskferryError } from '../errors.ts'

/** Whom a hook is run for. */
export interface HookSubject {
  /** The VM's id in the API. */
  readonly vm: string
  readonly uuid: string
  /** The name that people know the VM by: anybody who may rename a VM chooses it. */
  readonly name: string
}

/** C0, DEL and C1: a NUL can't be passed at all, a line break breaks logs. */
const CONTROL = /\p{Cc}/gu

/**
 * Fills `{vm}`, `{uuid}` and `{name}` into the arguments of a hook. Each argument stays one argument, whatever the names
 * hold; what was filled in is not looked at again. Control characters become `_`.
 *
 * @throws QUIESCE_FAILED where a name would turn an argument into an option
 */
export function hookArguments(template: readonly string[], subject: HookSubject): readonly string[] {
  return template.map((argument) => {
    const filled = argument.replace(/\{(vm|uuid|name)\}/g, (_, key: keyof HookSubject) =>
      subject[key].replace(CONTROL, '_'),
    )
    if (filled.startsWith('-') && !argument.startsWith('-')) {
      throw new DiskferryError(
        'QUIESCE_FAILED',
        `the argument ${JSON.stringify(argument)} of a hook would be ${JSON.stringify(filled)} for VM ${subject.vm}, which programs take for an option: put something in front of it, as in "--vm=${argument}"`,
      )
    }
    return filled
  })
}
