/** Where a push is. `allowed` waits to be claimed; the rest of the second line is over. */
export type PushState =
  | 'sending'
  | 'waiting'
  | 'allowed'
  | 'claimed'
  | 'denied'
  | 'fraud'
  | 'timed-out'
  | 'cancelled'
  | 'failed'
