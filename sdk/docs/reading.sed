# What Doxygen reads in place of a header. A comment of abi.h, which is plain C, becomes one of its own, before a declaration or
# behind one; an address that begins with colons is no link; specialisations of templates of other people are left out.
s|^\( *\)/\* \([^-]\)|\1/** \2|
s|\([^ /].*\)/\* |\1/**< |
s|::ffff|\\::ffff|g
/^template <>$/,/};$/d
