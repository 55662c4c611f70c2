// SPDX-License-Identifier: Apache-2.0
// The kinds of network as a table.
#include "machine/net.h"

namespace vitrine::machine {

namespace {

struct KindRow {
    std::string_view name;
    NetKind kind;
    Expected<std::unique_ptr<host::Network>> (*open)(const std::string& id, const host::NetworkProperties& properties);
};

Expected<std::unique_ptr<host::Network>> nothing(const std::string& id, const host::NetworkProperties& properties) {
    if (!properties.empty())
        return Error("--net " + id + ": this kind has no property '" + properties[0].first + "'");
    return std::unique_ptr<host::Network>();
}

constexpr KindRow kinds[] = {
    {"user", NetKind::user, host::open_user_network},       {"tap", NetKind::tap, host::open_tap},
    {"switch", NetKind::switch_, nothing},                  {"socket", NetKind::socket, host::open_socket_network},
    {"none", NetKind::none, nothing},
};

const KindRow& row_of(NetKind kind) {
    for (const KindRow& row : kinds)
        if (row.kind == kind)
            return row;
    VERIFY(false && "a kind of network without a row");
    return kinds[0];
}

} // namespace

Expected<NetConfig> parse_net(std::string_view text) {
    const std::string whole(text);
    NetConfig net;
    bool kind = false;
    for (bool first = true; first || !text.empty(); first = false) {
        const std::size_t comma = text.find(',');
        const std::string_view part = text.substr(0, comma);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
        const std::size_t equals = part.find('=');
        if (first) {
            if (part.empty() || equals != std::string_view::npos)
                return Error("--net " + whole + ": must begin with a name for the network, then ,kind=user, tap, switch, socket or none");
            net.id = part;
            continue;
        }
        if (equals == std::string_view::npos || equals == 0)
            return Error("--net " + whole + ": '" + std::string(part) + "' must be key=value");
        const std::string_view key = part.substr(0, equals), value = part.substr(equals + 1);
        if (key != "kind") {
            net.properties.emplace_back(key, value);
            continue;
        }
        for (const KindRow& row : kinds)
            if (row.name == value) {
                net.kind = row.kind;
                kind = true;
            }
        if (!kind)
            return Error("--net " + whole + ": kind=" + std::string(value) + " must be one of user, tap, switch, socket, none");
    }
    if (!kind)
        return Error("--net " + whole + ": kind= is missing: user, tap, switch, socket or none");
    return net;
}

std::string text_of(const NetConfig& net) {
    std::string text = net.id + ",kind=" + std::string(row_of(net.kind).name);
    for (const auto& [key, value] : net.properties)
        text += "," + key + "=" + value;
    return text;
}

Expected<std::unique_ptr<host::Network>> open_network(const NetConfig& net) { return row_of(net.kind).open(net.id, net.properties); }

} // namespace vitrine::machine
