// SPDX-License-Identifier: BSD-3-Clause
// The headers of others that most tests read: what g++ precompiles with -Dprecompiled=true. A test
// takes two thirds of its time to compile then; our own would make it larger than it is worth.
// Boost.Test's own are not among them: what they are depends on BOOST_TEST_MODULE.
#pragma once

#include <fmt/format.h>
#include <boost/function.hpp>
#include <boost/mpl/for_each.hpp>
#include <boost/mpl/list.hpp>
#include <boost/numeric/conversion/conversion_traits.hpp>
#include <boost/shared_ptr.hpp>
#include <nlohmann/json.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/xtensor.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>
