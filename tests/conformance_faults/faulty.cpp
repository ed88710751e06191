// What of a fault takes C++: linked to faulty.c.
#include <stdexcept>

/// A static of an inline function of default visibility is one for the whole process (STB_GNU_UNIQUE).
template <class T>
struct [[gnu::visibility("default")]] Counter{static int next(){static int count = 0;
return ++count;
}
}
;

extern "C" void throw_something();
extern "C" void throw_something() {
  if (Counter<int>::next() > 0) throw std::runtime_error("nobody catches this");
}
