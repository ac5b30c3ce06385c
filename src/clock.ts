/** A span of time, or a point in it since the epoch. */
export type Milliseconds = number

/** Reads the time. Passed in everywhere, so that a test can move it; `Date.now` in production. */
export type Clock = () => Milliseconds

export const SECOND: Milliseconds = 1000
export const MINUTE: Milliseconds = 60 * SECOND
export const HOUR: Milliseconds = 60 * MINUTE
export const DAY: Milliseconds = 24 * HOUR

/** So far a clock may have been set back, or those of two processes lie apart, before what is sealed with a time is refused. */
export const CLOCK_TOLERANCE: Milliseconds = 60 * SECOND
