import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { patternCompiler } from '../../src/access/pattern.ts'
import { compileCondition, parseQuery } from '../../src/access/query.ts'
import { queryOperators } from '../../src/config/schema.ts'
import { matches } from './rules.ts'

describe('query', () => {
  const holds = (condition: Parameters<typeof compileCondition>[0], query: string) =>
    compileCondition(condition, patternCompiler())(parseQuery(`/?${query}`))

  it.each([
    [{ key: 'a' }, ['a', 'a=', 'a=1', 'b&a'], ['', 'b', 'A', 'b=a']],
    [{ key: 'a', operator: 'present' }, ['a', 'a=1'], ['', 'aa']],
    [{ key: 'a', operator: 'absent' }, ['', 'b=1', 'aa'], ['a', 'a=']],
    [{ key: 'a', value: '1' }, ['a=1', 'a=%31', 'b&a=1'], ['', 'a', 'a=2', 'a=11', 'b=1']],
    [{ key: 'a', operator: 'equal', value: '' }, ['', 'a', 'a='], ['a=1']],
    [{ key: 'a', operator: 'not equal', value: '1' }, ['', 'a', 'a=2'], ['a=1']],
    [{ key: 'a', operator: 'pattern', value: '^[0-9]+$' }, ['a=1', 'a=%32'], ['', 'a', 'a=x1']],
    [{ key: 'a', operator: 'not pattern', value: '^[0-9]+$' }, ['', 'a', 'a=x1'], ['a=1']],
    [{ key: 'a b', value: 'c d' }, ['a+b=c%20d', 'a%20b=c+d'], ['a+b=c%2Bd']],
    [{ key: 'ü', value: '€' }, ['%C3%BC=%E2%82%AC'], ['%c3=%e2']],
  ] as const)('%j', (condition, yes, no) => {
    for (const query of yes) expect(holds(condition, query), query).toBe(true)
    for (const query of no) expect(holds(condition, query), query).toBe(false)
  })

  it('the outer list is or, the inner one and', () => {
    const query = [[{ key: 'a' }, { key: 'b', value: '2' }], [{ key: 'c', operator: 'absent' as const }]]
    const on = (target: string) => matches({ query }, null, { target })
    expect(['/?a&b=2&c', '/', '/?a'].map(on)).toEqual([true, true, true])
    expect(['/?a&c', '/?b=2&c'].map(on)).toEqual([false, false])
  })

  it('row 47: names of Object are keys like any other', () => {
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(holds({ key }, '')).toBe(false)
      expect(holds({ key }, 'a=1')).toBe(false)
      expect(holds({ key, value: '1' }, `${key}=1`)).toBe(true)
    }
    expect(Object.prototype).not.toHaveProperty('1')
  })

  it('row 47: of a doubled key the first value counts', () => {
    expect(holds({ key: 'a', value: '1' }, 'a=1&a=2')).toBe(true)
    expect(holds({ key: 'a', value: '2' }, 'a=1&a=2')).toBe(false)
    expect(holds({ key: 'a', value: '2' }, '%61=1&a=2')).toBe(false)
    expect(holds({ key: 'a', value: '2' }, 'a&a=2')).toBe(false)
  })

  it('row 47: what is malformed counts as it was written', () => {
    expect(holds({ key: '%zz' }, '%zz')).toBe(true)
    expect(holds({ key: 'a', value: '%' }, 'a=%')).toBe(true)
    expect(holds({ key: 'a', value: '%ff' }, 'a=%ff')).toBe(true)
    expect(holds({ key: 'a', value: '1;b=2' }, 'a=1;b=2')).toBe(true)
    expect(holds({ key: '' }, '=1')).toBe(true)
    expect(holds({ key: 'a', value: 'b=c' }, 'a=b=c')).toBe(true)
  })

  it('row 47: ten thousand pairs take a moment', () => {
    const start = performance.now()
    expect(parseQuery(`/?${Array.from({ length: 10_000 }, (_, n) => `a${n}=1`).join('&')}`).size).toBe(10_000)
    expect(performance.now() - start).toBeLessThan(500)
  })

  it('row 47: nothing makes it throw, and of an operator and its contrary one holds', () => {
    const contrary = { present: 'absent', equal: 'not equal', pattern: 'not pattern' } as const
    const operator = fc.constantFrom(...(['present', 'equal', 'pattern'] as const))
    fc.assert(
      fc.property(operator, fc.string(), fc.string({ unit: 'binary' }), (operator, key, query) => {
        const condition = { key, value: operator === 'present' ? undefined : '1' }
        expect(holds({ ...condition, operator }, query)).not.toBe(
          holds({ ...condition, operator: contrary[operator] }, query),
        )
      }),
    )
    expect(queryOperators).toHaveLength(6)
  })
})
