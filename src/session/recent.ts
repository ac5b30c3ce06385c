/** A bounded memory of what was used lately. */
export interface Recent<Value> {
  get(key: string): Value | undefined
  set(key: string, value: Value): void
  delete(key: string): void
  clear(): void
}

/**
 * Least recently used, in two generations: what was not asked for while `half` others were is forgotten. A hit in the young one costs one
 * look-up, which re-ordering a list on each would double. It holds at most twice `half`.
 */
export function recent<Value>(half: number): Recent<Value> {
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()
  function set(key: string, value: Value): void {
    if (young.size >= half) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }
  return {
    set,
    get(key) {
      const value = young.get(key)
      if (value !== undefined) return value
      const older = old.get(key)
      if (older !== undefined) set(key, older)
      return older
    },
    delete(key) {
      young.delete(key)
      old.delete(key)
    },
    clear() {
      young = new Map()
      old = new Map()
    },
  }
}
