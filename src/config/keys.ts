import { z } from 'zod'

/** A key that takes a value of its own, as the schema knows it. */
export interface KnownKey {
  /** `session.cookies[].domain`, `users.*.password`. */
  readonly key: string
  /** What it takes, in words. */
  readonly expected: string
  /** Always, or in each entry of a list. */
  readonly required: boolean
}

interface Bare {
  /** The schema under defaults, optionals and transforms. */
  readonly schema: unknown
  /** From `.meta({ expected })`, where the type alone says too little. */
  readonly expected: string | undefined
  readonly required: boolean
}

function bare(wrapped: unknown): Bare {
  let schema = wrapped
  let expected: string | undefined
  let required = true
  for (;;) {
    if (schema instanceof z.ZodType) {
      const said = z.globalRegistry.get(schema)?.expected
      if (typeof said === 'string') expected ??= said
    }
    if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
      required = false
      schema = schema.def.innerType
    } else if (schema instanceof z.ZodNullable || schema instanceof z.ZodReadonly) schema = schema.def.innerType
    else if (schema instanceof z.ZodPipe)
      schema = schema.def.in instanceof z.ZodTransform ? schema.def.out : schema.def.in
    else return { schema, expected, required }
  }
}

/** The map schema among these, if there is one: a union may hold one. */
function alternatives(schema: unknown): unknown[] {
  const { schema: plain } = bare(schema)
  return plain instanceof z.ZodUnion ? plain.def.options.flatMap(alternatives) : [plain]
}

/** The schemas that a value at this path may have; none where the schema knows no such path. */
function schemasAt(root: unknown, path: readonly PropertyKey[]): unknown[] {
  let schemas: unknown[] = [root]
  for (const part of path)
    schemas = schemas.flatMap(alternatives).flatMap(schema => {
      if (schema instanceof z.ZodObject) {
        const shape: Record<string, unknown> = schema.shape
        return Object.hasOwn(shape, part) ? [shape[String(part)]] : []
      }
      if (schema instanceof z.ZodArray) return typeof part === 'number' ? [schema.def.element] : []
      return schema instanceof z.ZodRecord ? [schema.def.valueType] : []
    })
  return schemas
}

/** Whether a value may stand at this path. */
export function isKnown(root: z.ZodType, path: readonly PropertyKey[]): boolean {
  return schemasAt(root, path).length > 0
}

/** Whether it makes a difference that a value is there at this path: without one there is no default in its place. */
export function isOptional(root: z.ZodType, path: readonly PropertyKey[]): boolean {
  return schemasAt(root, path).some(schema => schema instanceof z.ZodOptional)
}

/** Names of the keys that a map at this path may have. */
export function keysAt(root: z.ZodType, path: readonly PropertyKey[]): string[] {
  return schemasAt(root, path)
    .flatMap(alternatives)
    .flatMap(schema => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []))
}

/** What a value at this path must be, in words. */
export function expectedAt(root: z.ZodType, path: readonly PropertyKey[]): string {
  return either(schemasAt(root, path).map(expectationOf))
}

/** The words that a value at this path may be, where they are a closed list. */
export function wordsAt(root: z.ZodType, path: readonly PropertyKey[]): string[] {
  return schemasAt(root, path)
    .flatMap(alternatives)
    .flatMap(schema => (schema instanceof z.ZodEnum ? schema.options.map(String) : []))
}

function expectationOf(wrapped: unknown): string {
  const { schema, expected } = bare(wrapped)
  if (schema instanceof z.ZodString) return `${expected ?? 'a text'}${lengthOf(schema)}`
  if (expected !== undefined) return expected
  if (schema instanceof z.ZodUnion) return either(schema.def.options.map(expectationOf))
  if (schema instanceof z.ZodEnum) return either(schema.options.map(String))
  if (schema instanceof z.ZodLiteral) return either([...schema.values].map(String))
  if (schema instanceof z.ZodBoolean) return 'true or false'
  if (schema instanceof z.ZodNumber) return `a whole number${rangeOf(schema)}`
  if (schema instanceof z.ZodArray) return `a list, each entry ${expectationOf(schema.def.element)}`
  if (schema instanceof z.ZodObject) {
    const needed = Object.entries(schema.shape).flatMap(([name, value]) => (bare(value).required ? [name] : []))
    return needed.length > 0 ? `a map with ${needed.join(', ')}` : 'a map of keys and values'
  }
  if (schema instanceof z.ZodRecord) return 'a map of keys and values'
  return 'a text'
}

function lengthOf({ minLength, maxLength }: z.ZodString): string {
  const most = maxLength === null ? '' : ` of at most ${maxLength} characters`
  return minLength === null || minLength < 2 ? most : ` of ${minLength} characters or more`
}

function rangeOf({ minValue, maxValue }: z.ZodNumber): string {
  return minValue !== null && maxValue !== null && maxValue < Number.MAX_SAFE_INTEGER
    ? ` from ${minValue} to ${maxValue}`
    : ''
}

/** `a, b or c`. */
export function either(words: readonly string[]): string {
  const distinct = [...new Set(words)]
  return distinct.length < 2 ? distinct.join() : `${distinct.slice(0, -1).join(', ')} or ${distinct.at(-1)}`
}

/** Every key of a schema, in its order: what the template and the documentation are checked against, and what environment variables may name. */
export function knownKeys(root: z.ZodType): KnownKey[] {
  const walk = (wrapped: unknown, key: string, needed: boolean): KnownKey[] => {
    const { required } = bare(wrapped)
    const all = alternatives(wrapped)
    // Of one thing or a list of it, as in `query`, only the thing: its keys are the same.
    const single = all.filter(
      schema => !(schema instanceof z.ZodArray && all.includes(bare(schema.def.element).schema)),
    )
    const found = single.flatMap(schema => {
      if (schema instanceof z.ZodObject)
        return Object.entries(schema.shape).flatMap(([name, value]) =>
          walk(value, key === '' ? name : `${key}.${name}`, needed && required),
        )
      const inside =
        schema instanceof z.ZodArray
          ? walk(schema.def.element, `${key}[]`, true)
          : schema instanceof z.ZodRecord
            ? walk(schema.def.valueType, `${key}.*`, needed && required)
            : []
      return inside.some(one => one.key.startsWith(`${key}[].`) || one.key.startsWith(`${key}.*`)) ? inside : []
    })
    return found.length > 0 ? found : [{ key, expected: expectationOf(wrapped), required: needed && required }]
  }
  return walk(root, '', true)
}
