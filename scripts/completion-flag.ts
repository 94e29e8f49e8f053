/** What the completion script of yargs asks with, followed by the words so far, the program's name first. */
export const COMPLETION_FLAG = '--get-yargs-completions';
