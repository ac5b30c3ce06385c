import { Unavailable } from '../problems/unavailable.ts'

/** The records cannot be reached, or not be written, now. Logged where the state changes, not for each query. */
export class RecordsDown extends Unavailable {
  readonly reason = 'records-down'
  /** @param ref under which the log has it */
  constructor(cause: unknown, ref?: string) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.name = 'RecordsDown'
    if (ref !== undefined) this.ref = ref
  }
}
