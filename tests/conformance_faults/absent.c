/* A library that nobody finds. */
int absent(void);
__attribute__((visibility("default"))) int absent(void) { return 0; }
