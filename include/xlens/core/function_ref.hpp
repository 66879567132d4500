// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <type_traits>

namespace xlens {

template <class Signature>
class function_ref;

/// Borrows something that can be called, as std::function_ref of C++26 does: two pointers. A
/// function that takes one is compiled once, where a template is compiled for every closure that it
/// is given. For what is called a tile or a row at a time; an inner loop wants a template.
template <class Result, class... Args>
class function_ref<Result(Args...)> {
public:
    template <class Callable>
        requires(!std::is_same_v<std::remove_cvref_t<Callable>, function_ref> &&
                 std::is_invocable_r_v<Result, Callable&, Args...>)
    function_ref(Callable&& callable)  // NOLINT(*-explicit-*,*-forwarding-*): borrowed
        : m_callable(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
          m_call([](void* borrowed, Args... args) -> Result {
              return (*static_cast<std::remove_reference_t<Callable>*>(borrowed))(
                  static_cast<Args>(args)...);
          }) {}

    Result operator()(Args... args) const { return m_call(m_callable, static_cast<Args>(args)...); }

private:
    void* m_callable;
    Result (*m_call)(void*, Args...);
};

}  // namespace xlens
