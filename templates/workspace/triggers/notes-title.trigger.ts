import { defineTrigger } from 'manage_db';

// Trims a note's title and refuses an empty one. The function is in functions/tidy_note_title.sql.
export default defineTrigger('notes_tidy_title', {
  table: 'notes',
  on: ['insert', 'update'],
  updateOf: ['title'],
  timing: 'before',
  function: 'tidy_note_title',
  version: 1,
});
